import type { ComponentChildren } from "preact";
import { Card, Checkbox, Input, Select, Switch } from "../../../ui/index.ts";
import type { SectionProps } from "./form-sections.tsx";

const UNITS = [
  { value: "1000", label: "seconds" },
  { value: "60000", label: "minutes" },
  { value: "3600000", label: "hours" },
  { value: "86400000", label: "days" },
] as const;
const MINUTE_MS = 60_000;

/** Limits for a rule that matches too often (docs/rules.md). */
export function LimitsSection({ draft, onChange, readOnly }: SectionProps) {
  const { suppression, dedupe, cooldownMs } = draft;
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
              <Input
                mono
                label="Key of repeats"
                value={dedupe.key}
                onChange={(key) => onChange({ dedupe: { ...dedupe, key } })}
                maxLength={256}
                readOnly={readOnly}
              />
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
                <Input
                  mono
                  label="Key of the storm limit"
                  value={suppression.key ?? ""}
                  onChange={(key) => {
                    const { key: _old, ...rest } = suppression;
                    onChange({ suppression: key === "" ? rest : { ...rest, key } });
                  }}
                  placeholder="all together"
                  maxLength={256}
                  readOnly={readOnly}
                />
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

function atLeastOne(text: string): number {
  return Math.max(1, Math.trunc(Number(text)) || 1);
}

interface LimitProps {
  readonly label: string;
  readonly hint: string;
  readonly isOn: boolean;
  readonly onToggle: (isOn: boolean) => void;
  readonly readOnly: boolean;
  readonly children?: ComponentChildren;
}

function Limit({ label, hint, isOn, onToggle, readOnly, children }: LimitProps) {
  return (
    <div class="rule-limit">
      <Switch checked={isOn} onChange={onToggle} label={label} hint={hint} disabled={readOnly} />
      {children}
    </div>
  );
}

interface DurationProps {
  readonly label: string;
  readonly ms: number;
  readonly onChange: (ms: number) => void;
  readonly readOnly: boolean;
}

/** A duration as number and unit; at least a second. */
function DurationInput({ label, ms, onChange, readOnly }: DurationProps) {
  const unit = [...UNITS].reverse().find(({ value }) => ms >= Number(value) && ms % Number(value) === 0) ?? UNITS[0];
  const count = ms / Number(unit.value);
  return (
    <>
      <Input
        type="number"
        label={label}
        min={1}
        value={String(count)}
        onChange={(text) => onChange(Math.round(Math.max(1, Number(text) || 1) * Number(unit.value)))}
        readOnly={readOnly}
      />
      <Select
        small
        label={`Unit of ${label}`}
        value={unit.value}
        onChange={(value) => onChange(count * Number(value))}
        options={UNITS}
        disabled={readOnly}
      />
    </>
  );
}
