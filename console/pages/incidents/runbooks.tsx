import { BookOpen, ChartLine, ExternalLink } from "lucide";
import type { Alert } from "../../../src/client/api-types.gen.ts";
import { Button, type IconNode } from "../../ui/index.ts";
import { safeLink } from "../inbox/notification-types.ts";

/* Links that senders put into alerts: what to do, and where to look. */

interface Kind {
  readonly text: string;
  readonly icon: IconNode;
  /** Names of annotations, lower case without separators: those of Prometheus, Grafana, Datadog and others. */
  readonly names: readonly string[];
}

const KINDS: readonly Kind[] = [
  { text: "Runbook", icon: BookOpen, names: ["runbookurl", "runbook", "runbooklink", "playbookurl", "playbook"] },
  {
    text: "Dashboard",
    icon: ChartLine,
    names: ["dashboardurl", "dashboard", "dashboardlink", "panelurl", "grafanaurl", "grafana"],
  },
];
const SOURCE = { text: "Source", icon: ExternalLink };

interface Found {
  readonly text: string;
  readonly icon: IconNode;
  readonly url: string;
}

const plainName = (name: string): string => name.toLowerCase().replaceAll(/[^a-z]/g, "");

function kindOf(name: string, value: string): Kind | undefined {
  if (safeLink(value) === null) return undefined;
  return KINDS.find(({ names }) => names.includes(plainName(name)));
}

/** Whether an annotation is shown as a link of its own. */
export function isLinkOfHead(name: string, value: string): boolean {
  return kindOf(name, value) !== undefined;
}

type Linked = Pick<Alert, "annotations" | "generatorUrl">;

function linksOf({ annotations, generatorUrl }: Linked): Found[] {
  const found = Object.entries(annotations).flatMap(([name, value]): Found[] => {
    const kind = kindOf(name, value);
    return kind === undefined ? [] : [{ text: kind.text, icon: kind.icon, url: value }];
  });
  const source = safeLink(generatorUrl);
  const order = (text: string) => KINDS.findIndex((kind) => kind.text === text);
  const sorted = found.toSorted((a, b) => order(a.text) - order(b.text));
  return source === null ? sorted : [...sorted, { ...SOURCE, url: source }];
}

/** So many alerts have their own links at the top; the others have them in their cards. */
const SHOWN = 3;

/** Of several with one name the first ones, with numbers. Each opens in a new tab, which cannot reach this page. */
export function AlertLinks({
  alerts,
  areButtons,
}: {
  readonly alerts: readonly Linked[];
  readonly areButtons?: boolean;
}) {
  const urls = new Map(alerts.flatMap(linksOf).map((link) => [link.url, link]));
  const byText = new Map<string, Found[]>();
  for (const link of urls.values()) byText.set(link.text, [...(byText.get(link.text) ?? []), link]);
  const shown = [...byText.values()].flatMap((links) =>
    links
      .slice(0, SHOWN)
      .map((link, index) => ({ ...link, text: links.length === 1 ? link.text : `${link.text} ${index + 1}` })),
  );
  if (shown.length === 0) return null;
  return (
    <div class="inline">
      {shown.map(({ url, text, icon }) => (
        <Button key={url} small={areButtons !== true} href={url} icon={icon} external title={url}>
          {text}
        </Button>
      ))}
    </div>
  );
}
