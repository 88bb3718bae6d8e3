import { Lock } from "lucide";
import { useState } from "preact/hooks";
import type { Explanation } from "../../../src/client/api-types.gen.ts";
import type { PrismError } from "../../app/api.ts";
import { findUsers } from "../../app/people.ts";
import { useGet } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import {
  Answer,
  Button,
  Combobox,
  CopyButton,
  EmptyState,
  Loaded,
  plural,
  Skeleton,
  Timeline,
} from "../../ui/index.ts";
import { answerOf } from "./answer.ts";
import { foldedRules, storySteps } from "./steps.tsx";

export interface Subject {
  readonly kind: "event" | "notification";
  readonly id: string;
}

interface Props {
  readonly subject: Subject;
  /** The user in question; "": the story is about everyone. */
  readonly user: string;
  readonly onUser: (userId: string) => void;
}

interface ProjectName {
  readonly name: string;
}

/** The story of an event or a notification, loaded from the server. */
export function Story({ subject, user, onUser }: Props) {
  const query = useExplanation(subject, user);
  if (query.error && !query.data && isHidden(query.error)) {
    return (
      <EmptyState
        small
        icon={Lock}
        title="You may not see this story"
        text={`You see the stories of notifications that you received; this ${subject.kind} ${subject.kind === "event" ? "notified" : "was sent to"} others, or was deleted. For all stories, ask an administrator for the permission notifications:read_all.`}
      />
    );
  }
  return (
    <Loaded query={query} skeleton={<Skeleton kind="text" count={6} />}>
      {(explanation) => <StoryBody explanation={explanation} user={user} onUser={onUser} />}
    </Loaded>
  );
}

/** The server does not say whether something exists that the caller may not see. */
function isHidden({ code, status }: PrismError): boolean {
  return !can("notifications:read_all") && (status === 403 || code.endsWith("_NOT_FOUND"));
}

export function useExplanation({ kind, id }: Subject, user: string) {
  return useGet<Explanation>(`/explain/${kind}/${encodeURIComponent(id)}`, { userId: user });
}

interface BodyProps {
  readonly explanation: Explanation;
  readonly user: string;
  readonly onUser: (userId: string) => void;
}

function StoryBody({ explanation, user, onUser }: BodyProps) {
  const [isComplete, setComplete] = useState(false);
  const { event, scope, rulesLeftOut } = explanation;
  const project = useGet<ProjectName>(event ? `/projects/${event.projectId}` : null);
  const mayAsk = scope === "full" && can("users:read");
  const items = storySteps({
    explanation,
    project: project.data?.name ?? null,
    onAsk: mayAsk ? onUser : undefined,
    isComplete,
  });
  const folded = foldedRules(explanation);
  return (
    <div class="explain">
      {mayAsk && <AskFor user={user} name={explanation.user?.name} onUser={onUser} />}
      <Timeline items={items} />
      {folded > 0 && (
        <Button small variant="quiet" onClick={() => setComplete(!isComplete)}>
          {isComplete ? "Hide rules that did not match" : `Show ${plural(folded, "rule")} that did not match`}
        </Button>
      )}
      {rulesLeftOut > 0 && (
        <p class="muted small">{plural(rulesLeftOut, "more rule is", "more rules are")} not listed.</p>
      )}
      <Answer>{answerOf(explanation, explanation.user?.id === me.value?.id)}</Answer>
      <div class="explain-ids">
        {event && <CopyButton text={event.id} label="Copy event id" />}
        {explanation.notifications.length === 1 && (
          <CopyButton text={explanation.notifications[0]?.id ?? ""} label="Copy notification id" />
        )}
      </div>
    </div>
  );
}

interface AskProps {
  readonly user: string;
  readonly name: string | undefined;
  readonly onUser: (userId: string) => void;
}

/** Chooses the user in question. */
function AskFor({ user, name, onUser }: AskProps) {
  const options = user !== "" && name !== undefined ? [{ value: user, label: name }] : [];
  return (
    <div class="explain-ask">
      <span class="muted small">Why was this person notified or not?</span>
      <Combobox
        label="Person"
        value={user}
        onChange={onUser}
        options={options}
        load={findUsers}
        placeholder="Everyone"
        clearable
      />
    </div>
  );
}
