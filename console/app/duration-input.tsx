import "./duration-input.css";
import { useState } from "preact/hooks";
import { Input, Select } from "../ui/index.ts";

const UNITS = [
  { value: "1000", label: "s" },
  { value: "60000", label: "min" },
  { value: "3600000", label: "h" },
  { value: "86400000", label: "days" },
];

interface Props {
  /** Null: not set. */
  readonly value: number | null;
  readonly onChange: (ms: number | null) => void;
  readonly label: string;
  readonly placeholder?: string | undefined;
  readonly disabled?: boolean | undefined;
}

/** A time as a number and a unit. */
export function DurationInput({ value, onChange, label, placeholder, disabled }: Props) {
  const [unit, setUnit] = useState(() => unitOf(value));
  const amount = value === null ? "" : String(value / Number(unit));
  const typed = (text: string) => {
    const ms = Number(text) * Number(unit);
    onChange(text === "" || Number.isNaN(ms) ? null : Math.round(ms));
  };
  return (
    <span class="duration-in">
      <Input
        type="number"
        min={0}
        step="any"
        label={label}
        value={amount}
        onChange={typed}
        placeholder={placeholder}
        disabled={disabled}
      />
      <Select
        label={`Unit of ${label}`}
        value={unit}
        onChange={(next) => {
          setUnit(next);
          if (value !== null) onChange(Math.round((value / Number(unit)) * Number(next)));
        }}
        options={UNITS}
        disabled={disabled}
      />
    </span>
  );
}

/** The largest unit in which it is whole. */
function unitOf(ms: number | null): string {
  if (ms === null || ms === 0) return "60000";
  return [...UNITS].reverse().find(({ value }) => ms % Number(value) === 0)?.value ?? "1000";
}
