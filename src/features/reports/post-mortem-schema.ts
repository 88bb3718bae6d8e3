import * as v from "valibot";
import { doc, named, object, uuid } from "../../http/api/shapes.ts";

export const PostMortemParams = object({ id: doc(uuid, "Id of the incident") });

const nullableText = (about: string) => doc(v.nullable(v.string()), about);
const Line = v.object({ at: v.nullable(v.string()), text: v.string() });

export const PostMortem = named(
  "PostMortem",
  "An incident as the beginning of a post-mortem: what is known of it, and a text with empty headings",
  v.object({
    id: v.string(),
    number: v.number(),
    title: v.string(),
    project: doc(v.string(), "Its slug"),
    policy: v.string(),
    severity: nullableText("The highest severity of its alerts"),
    state: v.string(),
    openedAt: v.string(),
    notifiedAt: nullableText("When its steps started"),
    firstAckAt: nullableText("When a person first responded"),
    resolvedAt: nullableText("Null: it is not over"),
    lastedMs: doc(v.number(), "From the opening to the end, or until now"),
    timeline: doc(v.array(Line), "What happened, in sentences; at most 100"),
    people: doc(v.array(v.object({ name: v.string(), acknowledged: v.boolean() })), "Who was notified"),
    alerts: v.array(
      v.object({ labels: v.record(v.string(), v.string()), startsAt: v.string(), resolvedAt: v.nullable(v.string()) }),
    ),
    notes: v.array(Line),
    markdown: doc(v.string(), "The text, by the template of `reports.postMortem` or that of Prism"),
  }),
);
export type PostMortem = v.InferOutput<typeof PostMortem>;
