import { controlsOf } from "../../app/controls.ts";
import { DurationInput } from "../../app/duration-input.tsx";
import { Card, Field, Input, Switch, Textarea } from "../../ui/index.ts";
import type { PolicyDefinition } from "./policy-types.ts";
import { StepsEditor } from "./steps-editor.tsx";

interface Props {
  readonly draft: PolicyDefinition;
  readonly onChange: (draft: PolicyDefinition) => void;
  readonly projectId: string;
  readonly readOnly: boolean;
}

export function PolicyForm({ draft, onChange, projectId, readOnly }: Props) {
  const change = (part: Partial<PolicyDefinition>) => onChange({ ...draft, ...part });
  const { bind, flag } = controlsOf(draft, change);
  return (
    <fieldset class="plain-set" disabled={readOnly}>
      <div class="two">
        <Card title="Steps" sub="They run in order while the incident is open and not acknowledged.">
          <StepsEditor
            steps={draft.steps}
            onChange={(steps) => change({ steps })}
            projectId={projectId}
            readOnly={readOnly}
          />
        </Card>
        <div class="stack">
          <Card title="Policy">
            <div class="stack">
              <Field label="Name" required>
                <Input {...bind("name")} maxLength={255} disabled={draft.name === "default" || readOnly} />
              </Field>
              <Field label="Description" optional>
                <Textarea {...bind("description")} rows={2} maxLength={1000} autoGrow />
              </Field>
            </div>
          </Card>
          <Card title="Rounds and acknowledgements">
            <div class="stack">
              <Field label="Further rounds" hint="All steps again while the incident is open, 0 to 9.">
                <Input
                  type="number"
                  min={0}
                  max={9}
                  value={String(draft.repeat)}
                  onChange={(text) => change({ repeat: Math.max(0, Math.min(9, Math.round(Number(text)))) })}
                />
              </Field>
              <Field label="Acknowledgements needed" hint="By different people, before the steps stop.">
                <Input
                  type="number"
                  min={1}
                  max={100}
                  value={String(draft.ackQuorum)}
                  onChange={(text) => change({ ackQuorum: Math.max(1, Math.round(Number(text))) })}
                />
              </Field>
              <Optional
                label="Acknowledgements expire"
                hint="The incident is open again afterwards."
                value={draft.ackExpiresMs}
                initial={14_400_000}
                onChange={(ackExpiresMs) => change({ ackExpiresMs })}
                readOnly={readOnly}
              />
              <Optional
                label="Resolve by itself"
                hint="This long after its last alert."
                value={draft.autoResolveMs}
                initial={86_400_000}
                onChange={(autoResolveMs) => change({ autoResolveMs })}
                readOnly={readOnly}
              />
              <Switch {...flag("renotifyOnNew")} label="Notify of alerts that join later" disabled={readOnly} />
              <Switch
                {...flag("sendResolved")}
                label="Notify of the end"
                hint="Everyone who was notified that it fires."
                disabled={readOnly}
              />
              <Field label="Fallback" optional hint="The policy that follows while an incident reaches no one.">
                <Input
                  value={draft.fallback ?? ""}
                  onChange={(fallback) => change({ fallback: fallback === "" ? null : fallback })}
                  maxLength={128}
                  disabled={readOnly}
                />
              </Field>
              <Switch
                {...flag("opensIncidents")}
                label="Open incidents"
                hint="Otherwise its alerts are listed, and no one is notified."
                disabled={readOnly}
              />
            </div>
          </Card>
        </div>
      </div>
    </fieldset>
  );
}

interface OptionalProps {
  readonly label: string;
  readonly hint: string;
  readonly value: number | null;
  /** When it is switched on. */
  readonly initial: number;
  readonly onChange: (ms: number | null) => void;
  readonly readOnly: boolean;
}

function Optional({ label, hint, value, initial, onChange, readOnly }: OptionalProps) {
  return (
    <>
      <Switch
        checked={value !== null}
        onChange={(isOn) => onChange(isOn ? initial : null)}
        label={label}
        hint={hint}
        disabled={readOnly}
      />
      {value !== null && (
        <DurationInput label={`${label} after`} value={value} onChange={(ms) => onChange(ms ?? initial)} />
      )}
    </>
  );
}
