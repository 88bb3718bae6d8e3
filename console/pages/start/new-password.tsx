import { Field, Input } from "../../ui/index.ts";

interface NewPasswordProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Shortest password, in characters; undefined while it is unknown. */
  readonly min: number | undefined;
  readonly label?: string;
  readonly autoFocus?: boolean;
}

/** A field for a password that is chosen now. */
export function NewPassword({ value, onChange, min, label = "Password", autoFocus = false }: NewPasswordProps) {
  const isShort = value !== "" && min !== undefined && [...value].length < min;
  const least =
    min === undefined
      ? "Use a few words that others do not guess."
      : `At least ${min} characters; a few words are best.`;
  const hint = isShort ? `${least} ${min - [...value].length} more.` : least;
  return (
    <Field label={label} hint={hint}>
      <Input
        type="password"
        value={value}
        onChange={onChange}
        name="new-password"
        autocomplete="new-password"
        autoFocus={autoFocus}
      />
    </Field>
  );
}
