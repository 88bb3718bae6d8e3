import type { Explanation } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useRefresh } from "../../app/refresh.ts";
import { me } from "../../app/session.ts";
import { Card, Page, plural } from "../../ui/index.ts";
import { peopleText, questionOf } from "./answer.ts";
import { Story, useExplanation } from "./story.tsx";

/** `/explain/event/:id` and `/explain/notification/:id`. */
export default function ExplainPage({ params }: PageProps) {
  const kind = params["kind"] === "event" ? "event" : "notification";
  const subject = { kind, id: params["id"] ?? "" } as const;
  const [user, setUser] = useQueryState("user");
  const { data, reload } = useExplanation(subject, user);
  useRefresh(reload);
  const back =
    kind === "event"
      ? { label: "Events", href: href("/events") }
      : { label: "Inbox", href: href(`/inbox/${encodeURIComponent(subject.id)}`) };
  const title = data ? questionOf(data, data.user?.id === me.value?.id) : "Explain";
  return (
    <Page
      title={title}
      documentTitle="Explain"
      subtitle={data ? resultOf(data) : "What happened, step by step."}
      breadcrumb={[back]}
      width="narrow"
    >
      <Card>
        <Story subject={subject} user={user} onUser={setUser} />
      </Card>
    </Page>
  );
}

/** One line about the result; the sentence of the answer is at the end of the story. */
function resultOf({ notifications, rules }: Explanation): string {
  const [only] = notifications;
  if (only && notifications.length === 1) return `Went to ${peopleText(only)}.`;
  if (notifications.length > 1) return `${plural(notifications.length, "notification")}, step by step.`;
  return rules.length === 0 ? "No rule evaluated it." : "No user was notified. The values of each rule are below.";
}
