import { CheckCheck, Volume2, VolumeX } from "lucide";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { can } from "../../app/session.ts";
import { Button, IconButton, Page, plural, Tabs } from "../../ui/index.ts";
import { AllNotifications } from "./all-notifications.tsx";
import { readAll } from "./inbox-actions.ts";
import { MyNotifications } from "./my-notifications.tsx";
import { playsSounds, setPlaysSounds } from "./sounds.ts";
import { unread } from "./unread.ts";

export default function InboxPage() {
  const [show, setShow] = useQueryState("show", "unread");
  const isEveryone = show === "everyone" && can("notifications:read_all");
  const filter = show === "all" || show === "acknowledged" ? show : "unread";
  const toFilter = (value: string) =>
    navigate(value === "unread" ? "/inbox" : `/inbox?show=${value}`, { replace: true });
  return (
    <Page
      title="Inbox"
      subtitle={subtitleOf(isEveryone)}
      actions={
        <>
          <IconButton
            icon={playsSounds.value ? Volume2 : VolumeX}
            label={playsSounds.value ? "Sounds are on in this browser" : "Sounds are off in this browser"}
            pressed={playsSounds.value}
            onClick={() => setPlaysSounds(!playsSounds.value)}
          />
          <span class="only-wide">
            <Button icon={CheckCheck} disabled={unread.value === 0} onClick={readAll}>
              Mark all as read
            </Button>
          </span>
          <span class="only-phone">
            <IconButton
              icon={CheckCheck}
              label="Mark all as read"
              variant="default"
              disabled={unread.value === 0}
              onClick={readAll}
            />
          </span>
        </>
      }
      tabs={
        <Tabs
          label="Notifications"
          value={isEveryone ? show : filter}
          onChange={toFilter}
          tabs={[
            { value: "unread", label: "Unread", count: unread.value },
            { value: "all", label: "All" },
            { value: "acknowledged", label: "Acknowledged" },
            ...(can("notifications:read_all") ? [{ value: "everyone", label: "Everyone" }] : []),
          ]}
        />
      }
    >
      {isEveryone ? (
        <AllNotifications />
      ) : (
        <MyNotifications key={filter} filter={filter} onShowAll={() => setShow("all")} />
      )}
    </Page>
  );
}

function subtitleOf(isEveryone: boolean): string {
  if (isEveryone) return "What all users were notified of, and who has seen it.";
  const count = unread.value;
  return count === 0 ? "You have seen everything." : `${plural(count, "notification is", "notifications are")} unread.`;
}
