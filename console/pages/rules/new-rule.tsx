import type { Event } from "../../../src/client/api-types.gen.ts";
import "./rules.css";
import { useMemo } from "preact/hooks";
import { href } from "../../app/base.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import { ErrorState, Page, Skeleton } from "../../ui/index.ts";
import { definitionFrom, definitionOf, EMPTY } from "./draft.ts";
import { RuleEditor } from "./rule-editor.tsx";
import { STARTERS } from "./starters.ts";
import type { Definition, Rule } from "./types.ts";

/** A new rule: empty, from a template, from an event, or a copy of a rule. */
export default function NewRule() {
  const [from] = useQueryState("from");
  const [starter] = useQueryState("template");
  const [copied] = useQueryState("copy");
  const event = useGet<Event>(from === "" ? null : `/events/${from}`);
  const source = useGet<Rule>(copied === "" ? null : `/rules/${copied}`);
  const projects = useProjects();
  const home = projects.find(({ slug }) => slug === "default")?.id;
  const initial = useMemo<Definition | null>(() => {
    const role = me.value?.roles[0];
    if (from !== "") return event.data ? definitionFrom(event.data, role) : null;
    if (copied !== "") return source.data ? { ...definitionOf(source.data), name: `${source.data.name} (copy)` } : null;
    const projectId = can("projects:all") ? null : home;
    if (projectId === undefined) return null;
    const template = STARTERS.find(({ id }) => id === starter)?.definition;
    return { ...EMPTY, projectId, targetRoles: role === undefined ? [] : [role], ...template };
  }, [from, starter, copied, event.data, source.data, home]);
  const error = event.error ?? source.error;
  return (
    <Page
      title="New rule"
      breadcrumb={[{ label: "Rules", href: href("/rules") }]}
      subtitle={
        event.data
          ? `From an event of type ${event.data.type}. Check who is notified, then see what it would have done.`
          : "Which events notify whom, with what text. Test it before it is saved."
      }
    >
      {error !== undefined && <ErrorState error={error} />}
      {error === undefined && initial === null && <Skeleton kind="form" />}
      {initial !== null && (
        <RuleEditor
          key={`${from} ${starter} ${copied}`}
          rule={null}
          initial={initial}
          draftKey={["new", from, starter, copied].filter(Boolean).join(" ")}
          eventId={from}
          readOnly={false}
        />
      )}
    </Page>
  );
}
