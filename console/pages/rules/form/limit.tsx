import type { ComponentChildren } from "preact";
import { Input, Select, Switch } from "../../../ui/index.ts";

const UNITS = [
  { value: "1000", label: "seconds" },
  { value: "60000", label: "minutes" },
  { value: "3600000", label: "hours" },
  { value: "86400000", label: "days" },
] as const;
interface LimitProps {
  readonly label: string;
  readonly hint: string;
  readonly isOn: boolean;
  readonly onToggle: (isOn: boolean) => void;
  readonly readOnly: boolean;
  readonly children?: ComponentChildren;
}

/** A limit that is on or off, with what it says while it is on. */
export function Limit({ label, hint, isOn, onToggle, readOnly, children }: LimitProps) {
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
export function DurationInput({ label, ms, onChange, readOnly }: DurationProps) {
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

export function atLeastOne(text: string): number {
  return Math.max(1, Math.trunc(Number(text)) || 1);
}
