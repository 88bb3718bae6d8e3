import type { Setting } from "../../../src/client/api-types.gen.ts";
import { Field, Input, Select, Switch } from "../../ui/index.ts";
import { fieldText, originText } from "./setting-types.ts";
import { hintOf, labelOf, valueWords } from "./setting-words.ts";

interface FieldProps {
  readonly setting: Setting;
  readonly text: string;
  readonly error: string | undefined;
  readonly onChange: (text: string) => void;
}

export function SettingField({ setting, text, error, onChange }: FieldProps) {
  const { key, input, isFree, choices, secret } = setting;
  const held = isFree ? "" : `Set by ${originText(setting)}; change it there. `;
  const hint = held + hintOf(setting);
  const label = labelOf(key);
  const words = valueWords(key);
  const options = choices ?? Object.keys(words ?? {});
  if (input === "boolean" && words === undefined) {
    return (
      <Switch
        label={label}
        hint={hint}
        checked={text === "true"}
        disabled={!isFree}
        onChange={(checked) => onChange(String(checked))}
      />
    );
  }
  return (
    <Field label={label} hint={hint} {...(error !== undefined && { error })}>
      {options.length > 0 ? (
        <Select
          value={text}
          onChange={onChange}
          disabled={!isFree}
          options={options.map((value) => ({ value, label: words?.[value] ?? value }))}
        />
      ) : (
        <Input
          value={text}
          onChange={onChange}
          disabled={!isFree}
          type={secret ? "password" : input === "integer" ? "number" : "text"}
          placeholder={
            secret && setting.value !== null
              ? "stored; enter a new one to replace it"
              : fieldText(setting.fallback, input)
          }
          autocomplete="off"
        />
      )}
    </Field>
  );
}
