import type { OnCallPerson } from "../../../src/client/api-types.gen.ts";
import { canInProject } from "../../app/memberships.ts";
import { me } from "../../app/session.ts";
import { Badge, Button, formatDuration, now, UserText } from "../../ui/index.ts";
import { AwayBadge } from "./away-badge.tsx";
import { barsIn, barsOf, usersOf } from "./bars.ts";
import type { Chosen } from "./calendar-grid.tsx";
import { clockOf, dateOf, dayLabel, daysLabel, nextWeekend, spanLabel } from "./calendar-time.ts";
import { type Duty, nameOf } from "./oncall-types.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A weekend that begins within a week ends before. */
const AHEAD_DAYS = 16;

/** Parameter of `GET /oncall/now` with which {@link Slots} has all that it shows; the same for an hour. */
export function untilOfSlots(): string {
  return new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS + AHEAD_DAYS * DAY_MS).toISOString();
}

interface Slot {
  readonly label: string;
  readonly when: string;
  readonly start: number;
  readonly end: number;
  readonly users: readonly OnCallPerson[];
  /** Time without anyone on call. */
  readonly gapMs: number;
  /** Why people whom the schedule names are not notified. */
  readonly notReached?: readonly string[];
}

interface Props {
  readonly duty: Duty;
  /** Time zone of the shown times and of weekends. */
  readonly zone: string;
  readonly colour: (id: string) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

/** Who is on call now, next and on the next weekend, each with a way to change it. */
export function Slots({ duty, zone, colour, onChoose }: Props) {
  return (
    <div class="oc-slots">
      {slotsOf(duty, zone).map((slot) => (
        <SlotView key={slot.label} slot={slot} schedule={duty.name} colour={colour} onChoose={onChoose} />
      ))}
    </div>
  );
}

function slotsOf(duty: Duty, zone: string): readonly Slot[] {
  const { current, notReached, until, next, shifts = [], timezone } = duty;
  const at = now.peek();
  const end = until === null ? null : Date.parse(until);
  const slots: Slot[] = [
    {
      label: "Now",
      when: end === null ? "no change is planned" : `until ${dayLabel(dateOf(end, zone))} ${clockOf(end, zone)}`,
      start: Math.ceil(at / HOUR_MS) * HOUR_MS,
      end: Math.max(end ?? 0, Math.ceil(at / HOUR_MS) * HOUR_MS + HOUR_MS),
      users: current,
      gapMs: current.length === 0 ? (end ?? at + DAY_MS) - at : 0,
      notReached: notReached.map(({ text }) => text),
    },
  ];
  if (next) {
    const [start, last] = [Date.parse(next.start), Date.parse(next.end)];
    slots.push({ label: "Next", when: spanLabel(start, last, zone), start, end: last, users: next.users, gapMs: 0 });
  }
  const weekend = nextWeekend(dateOf(at, timezone), timezone);
  const bars = barsIn(barsOf(shifts, at, at, weekend.end), weekend.start, weekend.end);
  const gapMs = bars.reduce((sum, bar) => (bar.isGap ? sum + bar.end - bar.start : sum), 0);
  const when = daysLabel(dateOf(weekend.start, timezone), dateOf(weekend.end - 1, timezone));
  slots.push({ label: "Next weekend", when, ...weekend, users: usersOf(bars), gapMs });
  return slots;
}

interface SlotProps {
  readonly slot: Slot;
  readonly schedule: string;
  readonly colour: (id: string) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

function SlotView({ slot, schedule, colour, onChoose }: SlotProps) {
  const { label, when, users, gapMs, start, end, notReached = [] } = slot;
  const mayChange = canInProject("oncall:write") === true || users.some(({ id }) => id === me.value?.id);
  return (
    <div class="oc-slot" data-slot={label}>
      <div class="oc-slot-text">
        <span class="muted small">{label}</span>
        {users.map((person) => (
          <span class="oc-person" key={person.id}>
            <i class={`oc-dot ${colour(person.id)}`} />
            <span class="strong">
              <UserText>{nameOf(person)}</UserText>
            </span>
            <AwayBadge away={person.away} isShort />
          </span>
        ))}
        {users.length === 0 && <span class="text-bad strong">No one is on call</span>}
        {notReached.map((text) => (
          <span class="muted small" key={text}>
            <UserText>{`Scheduled, not notified: ${text}`}</UserText>
          </span>
        ))}
        <span class="oc-slot-when">
          {when}
          {users.length > 0 && gapMs > 0 && <Badge tone="bad">{`gap ${formatDuration(gapMs)}`}</Badge>}
        </span>
      </div>
      {mayChange && (
        <Button
          small
          title={`Put someone else on call: ${schedule}, ${label.toLowerCase()}`}
          onClick={() => onChoose({ start, end, users })}
        >
          Override
        </Button>
      )}
    </div>
  );
}
