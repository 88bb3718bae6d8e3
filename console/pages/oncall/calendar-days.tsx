import { now } from "../../ui/index.ts";
import { type Bar, barsIn, joinedBars } from "./bars.ts";
import type { Chosen } from "./calendar-grid.tsx";
import { clockOf, type Day, dateOf, isWeekend, shortDay } from "./calendar-time.ts";
import { namesOf } from "./oncall-types.ts";

const DAY_MS = 86_400_000;

interface ListProps {
  readonly days: readonly Day[];
  readonly zone: string;
  readonly bars: readonly Bar[];
  readonly colour: (id: string | undefined) => string;
  /** Not given: a list to read, in short lines. */
  readonly onChoose?: (chosen: Chosen) => void;
}

/** The result on narrow screens: a list by day. */
export function DayList({ days, zone, bars: shown, colour, onChoose }: ListProps) {
  const bars = joinedBars(shown);
  const at = now.value;
  const today = dateOf(at, zone);
  const nights = bars.filter((bar) => isNight(bar, days, zone));
  return (
    <ol class={onChoose ? "oc-list plain-list" : "oc-list oc-short plain-list"} aria-label="On call by day">
      {days.map((day) => (
        <li
          key={day.date}
          class={isWeekend(day.date) ? "weekend" : undefined}
          data-today={day.date === today || undefined}
        >
          <span class="oc-list-day">
            {shortDay(day.date)}
            {day.hours !== null && <small class="text-warn">clocks change: {day.hours} h</small>}
          </span>
          <div class="oc-list-bars">
            {partsOf(bars, nights, day).map((part) => {
              const look = part.isGap ? "oc-item oc-gap" : `oc-item ${colour(part.users[0]?.id)}`;
              const key = `${part.start} ${part.isGap}`;
              const isRunning = !onChoose && part.start <= at;
              const parts = <ItemParts part={part} hours={hoursOf(part, day, zone, isRunning)} />;
              if (!onChoose)
                return (
                  <span key={key} class={look}>
                    {parts}
                  </span>
                );
              const whole = bars.find(({ start, end }) => start <= part.start && end >= part.end) ?? part;
              return (
                <button type="button" key={key} class={look} title="Add an override" onClick={() => onChoose(whole)}>
                  {parts}
                </button>
              );
            })}
          </div>
        </li>
      ))}
    </ol>
  );
}

function ItemParts({ part, hours }: { readonly part: Bar; readonly hours: string }) {
  return (
    <>
      <span class="grow oc-name" dir="auto">
        {part.isGap ? "Gap" : namesOf(part.users)}
      </span>
      {part.isOverride && <small class="muted">override</small>}
      {part.away.length > 0 && <small class="text-warn">away</small>}
      <span class="num nowrap small">{hours}</span>
    </>
  );
}

/** Over midnight, and for at most a day: read as one time of the day on which it begins. */
function isNight({ start, end }: Bar, days: readonly Day[], zone: string): boolean {
  const day = days.find((each) => start >= each.start && start < each.end);
  if (day === undefined || end <= day.end || end >= day.end + DAY_MS) return false;
  return clockOf(end, zone) <= clockOf(start, zone);
}

function partsOf(bars: readonly Bar[], nights: readonly Bar[], day: Day): readonly Bar[] {
  const begun = nights.filter(({ start }) => start >= day.start && start < day.end);
  const others = bars.filter((bar) => !nights.includes(bar));
  return [...barsIn(others, day.start, day.end), ...begun].sort((a, b) => a.start - b.start);
}

/** "15:00–05:00" ends on the next day. */
function hoursOf({ start, end }: Bar, day: Day, zone: string, isRunning: boolean): string {
  if (start <= day.start && end === day.end) return "all day";
  const last = end === day.end ? "24:00" : clockOf(end, zone);
  return isRunning ? `until ${last}` : `${clockOf(start, zone)}–${last}`;
}
