import { BellRing, BookOpen, LayoutDashboard, MonitorSmartphone, SlidersHorizontal, Users } from "lucide";
import { href, SERVER_URL } from "../../../app/base.ts";
import { Icon, type IconNode } from "../../../ui/index.ts";

interface NextLink {
  readonly icon: IconNode;
  readonly title: string;
  readonly text: string;
  readonly url: string;
}

const LINKS: readonly NextLink[] = [
  { icon: LayoutDashboard, title: "Open the overview", text: "What needs attention, and the figures.", url: href("/") },
  { icon: SlidersHorizontal, title: "Write more rules", text: "With a backtest before you save.", url: href("/rules") },
  { icon: BellRing, title: "Look at your inbox", text: "Acknowledge the test notification.", url: href("/inbox") },
  { icon: Users, title: "Invite people", text: "Accounts, roles and projects.", url: href("/people") },
  {
    icon: MonitorSmartphone,
    title: "Push to this device",
    text: "Notifications while the console is closed.",
    url: href("/account/device"),
  },
  {
    icon: BookOpen,
    title: "Send events",
    text: "The manual, with an example for each language.",
    url: `${SERVER_URL}/docs`,
  },
];

/** The end of the set-up, and where to go from here. */
export function DoneStep() {
  return (
    <ul class="setup-links">
      {LINKS.map(({ icon, title, text, url }) => (
        <li key={title}>
          <a href={url}>
            <Icon node={icon} size={20} />
            <span>
              <strong>{title}</strong>
              <span class="muted small">{text}</span>
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
