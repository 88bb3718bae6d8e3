import type { CreateRule } from "../../../../src/client/api-types.gen.ts";
import { Fields } from "../../../forms/fields.tsx";
import { rule } from "../../../forms/rule.gen.ts";
import { editedOf, partOf } from "../../../forms/use-resource.ts";
import { Card, Checkbox, Input } from "../../../ui/index.ts";
import type { Definition } from "../types.ts";
import { atLeastOne, DurationInput, Limit } from "./limit.tsx";
import type { SectionProps } from "./section-props.ts";

const REPEATS = { name: "key", label: "Key of repeats", mono: true } as const;
const KEY = { name: "key", label: "Key of the storm limit", placeholder: "all together", mono: true } as const;
const MINUTE_MS = 60_000;

/** Limits for a rule that matches too often (docs/rules.md). */
export function LimitsSection({ draft, onChange, readOnly }: SectionProps) {
  const { suppression, dedupe, cooldownMs } = draft;
  const edited = editedOf<CreateRule>(rule, { dedupe, suppression }, (changes) => onChange(withoutEmptyKey(changes)));
  return (
    <Card title="How often" sub="Suppressed events are still counted, and explained with each event.">
      <div class="form">
        <Limit
          label="Repeats join the first notification"
          hint="Matches with the same key raise its number instead of notifying again."
          isOn={dedupe !== null}
          onToggle={(isOn) =>
            onChange({ dedupe: isOn ? { key: "{{ event.source }}", windowMs: 10 * MINUTE_MS } : null })
          }
          readOnly={readOnly}
        >
          {dedupe && (
            <div class="rule-sentence">
              <span>One notification for each</span>
              <Fields areBare of={partOf(edited, "dedupe")} show={[{ ...REPEATS, readOnly }]} />
              <span>in</span>
              <DurationInput
                label="Window of repeats"
                ms={dedupe.windowMs}
                onChange={(windowMs) => onChange({ dedupe: { ...dedupe, windowMs } })}
                readOnly={readOnly}
              />
            </div>
          )}
        </Limit>
        <Limit
          label="Own storm limit"
          hint={
            suppression === null
              ? "The server's limit applies: it keeps a storm from flooding people and never suppresses a first alarm."
              : "Further matches are suppressed; one notice shows their number and a summary follows."
          }
          isOn={suppression !== null}
          onToggle={(isOn) => onChange({ suppression: isOn ? { count: 5, windowMs: MINUTE_MS } : null })}
          readOnly={readOnly}
        >
          {suppression && (
            <>
              <div class="rule-sentence">
                <span>At most</span>
                <Input
                  type="number"
                  label="Notifications"
                  min={1}
                  value={String(suppression.count)}
                  onChange={(count) => onChange({ suppression: { ...suppression, count: atLeastOne(count) } })}
                  readOnly={readOnly}
                />
                <span>{suppression.count === 1 ? "notification in" : "notifications in"}</span>
                <DurationInput
                  label="Window of the storm limit"
                  ms={suppression.windowMs}
                  onChange={(windowMs) => onChange({ suppression: { ...suppression, windowMs } })}
                  readOnly={readOnly}
                />
                <span>for each</span>
                <Fields areBare of={partOf(edited, "suppression")} show={[{ ...KEY, readOnly }]} />
              </div>
              <Checkbox
                checked={suppression.mode === "batch"}
                onChange={(isBatch) =>
                  onChange({ suppression: { ...suppression, mode: isBatch ? "batch" : "suppress" } })
                }
                label="The summary lists five of the suppressed events"
                disabled={readOnly}
              />
            </>
          )}
        </Limit>
        <Limit
          label="Cooldown"
          hint="A quiet time after each notification; with repeats, for each key."
          isOn={cooldownMs > 0}
          onToggle={(isOn) => onChange({ cooldownMs: isOn ? 5 * MINUTE_MS : 0 })}
          readOnly={readOnly}
        >
          {cooldownMs > 0 && (
            <div class="rule-sentence">
              <span>After a notification, none for</span>
              <DurationInput
                label="Cooldown"
                ms={cooldownMs}
                onChange={(ms) => onChange({ cooldownMs: ms })}
                readOnly={readOnly}
              />
            </div>
          )}
        </Limit>
      </div>
    </Card>
  );
}

/** Without a key all matches are counted together. */
function withoutEmptyKey({ suppression, ...changes }: Partial<CreateRule>): Partial<Definition> {
  if (!suppression) return changes as Partial<Definition>;
  const { key, ...rest } = suppression;
  return { suppression: key ? { ...rest, key } : rest } as Partial<Definition>;
}
