import { now } from "../../ui/index.ts";
import { type Bar, barsIn } from "./bars.ts";
import type { Chosen } from "./calendar-grid.tsx";
import { clockOf, type Day, dateOf, isWeekend, shortDay } from "./calendar-time.ts";
import { namesOf } from "./oncall-types.ts";

interface ListProps {
  readonly days: readonly Day[];
  readonly zone: string;
  readonly bars: readonly Bar[];
  readonly colour: (id: string | undefined) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

/** The result on narrow screens: a list by day. */
export function DayList({ days, zone, bars, colour, onChoose }: ListProps) {
  const today = dateOf(now.value, zone);
  return (
    <ol class="oc-list plain-list" aria-label="On call by day">
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
            {barsIn(bars, day.start, day.end).map((part) => (
              <button
                type="button"
                key={`${part.start} ${part.isGap}`}
                class={part.isGap ? "oc-item oc-gap" : `oc-item ${colour(part.users[0]?.id)}`}
                title="Add an override"
                onClick={() => onChoose(bars.find(({ start, end }) => start <= part.start && end >= part.end) ?? part)}
              >
                <span class="grow oc-name" dir="auto">
                  {part.isGap ? "Gap" : namesOf(part.users)}
                </span>
                {part.isOverride && <small class="muted">override</small>}
                {part.away.length > 0 && <small class="text-warn">away</small>}
                <span class="num nowrap small">{hoursOf(part, day, zone)}</span>
              </button>
            ))}
          </div>
        </li>
      ))}
    </ol>
  );
}

function hoursOf({ start, end }: Bar, day: Day, zone: string): string {
  if (start <= day.start && end >= day.end) return "all day";
  return `${clockOf(start, zone)}–${end >= day.end ? "24:00" : clockOf(end, zone)}`;
}
