import type { Edited } from "../../forms/use-resource.ts";
import { Field, Input, Select, Textarea } from "../../ui/index.ts";
import type { PresetField } from "./connect-types.ts";

export type Values = Readonly<Record<string, string>>;

interface Props {
  readonly fields: readonly PresetField[];
  readonly values: Values;
  readonly onChange: (values: Values) => void;
  /** Shows the errors of the server. */
  readonly of: Pick<Edited<object>, "show" | "errorOf">;
  /** The stored values, with masked secrets: an empty secret is kept. */
  readonly stored?: Values;
}

/** The fields of a channel's preset. */
export function ChannelFields({ fields, values, onChange, of, stored = {} }: Props) {
  return (
    <>
      {fields.map((field) => {
        of.show(field.key);
        const kept = field.secret ? stored[field.key] : undefined;
        return (
          <Field
            key={field.key}
            label={field.title}
            required={field.required && kept === undefined && field.default === null}
            optional={!field.required}
            hint={kept === undefined ? hintOf(field) : `Stored: ${kept}. Empty keeps it.`}
            error={of.errorOf(field.key)}
          >
            <FieldControl
              field={field}
              value={values[field.key] ?? ""}
              onChange={(value) => onChange({ ...values, [field.key]: value })}
            />
          </Field>
        );
      })}
    </>
  );
}

function hintOf({ hint, default: value, secret }: PresetField): string | undefined {
  const parts = [...(hint === null ? [] : [hint]), ...(value === null || secret ? [] : [`Default: ${value}`])];
  return parts.length === 0 ? undefined : parts.join(". ");
}

interface ControlProps {
  readonly field: PresetField;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function FieldControl({ field: { secret, type, choices, example }, value, onChange }: ControlProps) {
  if (secret) return <Input type="password" value={value} onChange={onChange} autocomplete="new-password" />;
  if (choices !== null) {
    const options = choices.map((choice) => ({ value: choice, label: choice }));
    return <Select value={value} onChange={onChange} options={[{ value: "", label: "Default" }, ...options]} />;
  }
  if (type === "long") return <Textarea value={value} onChange={onChange} placeholder={example} />;
  return <Input value={value} onChange={onChange} placeholder={example} type={type === "url" ? "url" : "text"} />;
}

/** Body of a request: changed values only; an emptied one is removed, an empty secret is kept. */
export function changedFields(fields: readonly PresetField[], values: Values, stored: Values = {}) {
  const changes = fields.flatMap(({ key, secret }): [string, string | null][] => {
    const value = values[key]?.trim() ?? "";
    if (value === "") return secret || stored[key] === undefined ? [] : [[key, null]];
    return value === stored[key] ? [] : [[key, value]];
  });
  return Object.fromEntries(changes);
}
