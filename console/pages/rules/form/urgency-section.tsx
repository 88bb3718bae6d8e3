import type { Action, Sound } from "../../../../src/client/api-types.gen.ts";
import type { Page } from "../../../app/api.ts";
import { useGet } from "../../../app/query.ts";
import { can } from "../../../app/session.ts";
import { Card, Field, Input, Select } from "../../../ui/index.ts";
import { PlayButton } from "../play-button.tsx";
import type { SectionProps } from "./section-props.ts";

const LEVELS = [
  { value: "0", label: "Normal" },
  { value: "500", label: "Urgent: also in quiet hours" },
  { value: "600", label: "Critical: also wakes the phone" },
] as const;

/** How urgent it is, how it sounds, and where it leads. */
export function UrgencySection({ draft, onChange, readOnly }: SectionProps) {
  const sounds = useGet<Page<Sound>>(can("sounds:read") ? "/sounds" : null, { limit: 100 }).data?.data ?? [];
  const sound = sounds.find(({ id, filename }) => draft.sound === id || draft.sound === filename);
  const level = LEVELS.some(({ value }) => value === String(draft.priority)) ? String(draft.priority) : "other";
  const options = [...LEVELS, ...(level === "other" ? [{ value: "other", label: `Priority ${draft.priority}` }] : [])];
  const setAction = (changes: { readonly url?: string; readonly label?: string }) =>
    onChange({ action: actionWith(draft.action, changes) });
  return (
    <Card title="How urgent" sub="Higher notifications come first in the inbox.">
      <div class="form">
        <div class="grid2">
          <Field label="Urgency">
            <Select
              value={level}
              onChange={(value) => value !== "other" && onChange({ priority: Number(value) })}
              options={options}
              disabled={readOnly}
            />
          </Field>
          <Field label="Priority" hint="500 and above ignores quiet hours.">
            <Input
              type="number"
              value={String(draft.priority)}
              onChange={(value) => onChange({ priority: Math.trunc(Number(value)) || 0 })}
              readOnly={readOnly}
            />
          </Field>
        </div>
        <Field label="Sound" action={sound && <PlayButton url={sound.url} name={sound.filename} />}>
          <Select
            value={sound?.filename ?? draft.sound ?? ""}
            onChange={(value) => onChange({ sound: value === "" ? null : value })}
            options={[
              { value: "", label: "The device's own sound" },
              ...sounds.map(({ filename }) => ({ value: filename, label: filename })),
              ...(draft.sound !== null && !sound ? [{ value: draft.sound, label: draft.sound }] : []),
            ]}
            disabled={readOnly}
          />
        </Field>
        <div class="grid2">
          <Field label="Link" optional hint="What a click on the notification opens.">
            <Input
              type="url"
              value={draft.action?.url ?? ""}
              onChange={(url) => setAction({ url })}
              readOnly={readOnly}
              placeholder="https://status.example.org/runbook"
            />
          </Field>
          <Field label="Text of the link" optional>
            <Input
              value={draft.action?.label ?? ""}
              onChange={(label) => setAction({ label })}
              readOnly={readOnly}
              placeholder="Open the runbook"
            />
          </Field>
        </div>
      </div>
    </Card>
  );
}

/** Other members of an action belong to the app that reads it: they stay. */
function actionWith(action: Action | null, changes: { readonly url?: string; readonly label?: string }) {
  const { url, label, ...rest } = { type: "open", ...action, ...changes };
  const next = { ...rest, ...(url ? { url } : {}), ...(label ? { label } : {}) };
  return Object.keys(next).length === 1 && next.type === "open" ? null : next;
}
