import { CalendarDays, Clock } from "lucide";
import { useId, useRef, useState } from "preact/hooks";
import { IconButton } from "./button.tsx";
import { displayZone, toMs, toWallClock } from "./clock.ts";
import { cx } from "./dom.ts";
import { useControl } from "./field.tsx";
import { useSentValue } from "./sent-value.ts";
import { EXAMPLE, instantOfWall, PATTERN, readWritten, type WrittenKind, writtenWall } from "./written-time.ts";

interface WrittenProps {
  readonly kind: WrittenKind;
  /** A wall-clock time: `2026-11-29T14:00`, `2026-11-29` or `14:00`; "": none. */
  readonly wall: string;
  readonly onChange: (wall: string) => void;
  readonly zone: string;
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  readonly label?: string | undefined;
}

const NATIVE = { datetime: "datetime-local", date: "date", time: "time" } as const;
/** Texts that need no look at the end of typing. */
const WHOLE: Readonly<Record<WrittenKind, RegExp>> = {
  datetime: /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d$/,
  date: /^\d{4}-\d\d-\d\d$/,
  time: /^\d\d:\d\d$/,
};

/** A text for a date or a time, with the browser's own picker behind a button. */
function WrittenInput({ kind, wall, onChange, zone, min, max, label }: WrittenProps) {
  const control = useControl(label);
  const errorId = useId();
  const picker = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(writtenWall(wall));
  const [isRefused, setRefused] = useState(false);
  const sent = useSentValue(wall, (other) => {
    setText(writtenWall(other));
    setRefused(false);
  });
  const send = (next: string) => {
    sent.current = next;
    onChange(next);
  };
  const type = (typed: string) => {
    setText(typed);
    setRefused(false);
    const read = WHOLE[kind].test(typed.trim()) ? readWritten(typed, kind, zone) : undefined;
    if (read !== undefined || typed.trim() === "") send(read ?? "");
  };
  const finish = () => {
    const read = readWritten(text, kind, zone);
    if (text.trim() === "") return;
    setRefused(read === undefined);
    if (read !== undefined) setText(writtenWall(read));
    if ((read ?? "") !== sent.current) send(read ?? "");
  };
  return (
    <>
      <input
        {...control}
        type="text"
        value={text}
        placeholder={PATTERN[kind]}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={isRefused ? "true" : control["aria-invalid"]}
        aria-describedby={cx(isRefused && errorId, control["aria-describedby"]) || undefined}
        onInput={(event) => type(event.currentTarget.value)}
        onChange={finish}
      />
      <IconButton
        small
        icon={kind === "time" ? Clock : CalendarDays}
        label={kind === "time" ? "Choose a time" : "Choose a date"}
        onClick={() => picker.current?.showPicker()}
      />
      <input
        ref={picker}
        class="date-picker"
        type={NATIVE[kind]}
        tabIndex={-1}
        aria-hidden="true"
        value={wall}
        min={min}
        max={max}
        onInput={(event) => {
          setText(writtenWall(event.currentTarget.value));
          setRefused(false);
          send(event.currentTarget.value);
        }}
      />
      {isRefused && (
        <span class="date-error" id={errorId} role="alert">
          Write it as {EXAMPLE[kind]}
        </span>
      )}
    </>
  );
}

export interface DateTimeInputProps {
  /** "" or RFC 3339 in UTC. */
  readonly value: string;
  readonly onChange: (iso: string) => void;
  /** The IANA zone in which the time is typed. Default: the display zone. */
  readonly zone?: string | undefined;
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  readonly label?: string | undefined;
}

/** A date and time of a zone. */
export function DateTimeInput(props: DateTimeInputProps) {
  const { value, onChange, zone = displayZone.value, label } = props;
  const wall = (iso: string | undefined) =>
    iso === undefined || Number.isNaN(toMs(iso)) ? "" : toWallClock(toMs(iso), zone).slice(0, 16);
  return (
    <div class="control date-in" title={label === undefined ? undefined : `${label}, ${zone}`}>
      {label !== undefined && <span class="affix">{label}</span>}
      <WrittenInput
        kind="datetime"
        wall={wall(value)}
        onChange={(next) => onChange(instantOfWall(next, zone))}
        zone={zone}
        min={wall(props.min) || undefined}
        max={wall(props.max) || undefined}
        label={label}
      />
      {label === undefined && <span class="affix">{zone}</span>}
    </div>
  );
}

interface PlainTimeProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly min?: string | undefined;
}

/** A day of a calendar, as `2026-11-29`. */
export function DateInput({ value, onChange, min }: PlainTimeProps) {
  return (
    <div class="control date-in">
      <WrittenInput kind="date" wall={value} onChange={onChange} zone="UTC" min={min} />
    </div>
  );
}

/** A time of day, as `14:00`. */
export function ClockInput({ value, onChange }: PlainTimeProps) {
  return (
    <div class="control date-in">
      <WrittenInput kind="time" wall={value} onChange={onChange} zone="UTC" />
    </div>
  );
}
