import { useRef } from "preact/hooks";
import type { OnCallUser } from "../../../src/client/api-types.gen.ts";
import { now, useWidth } from "../../ui/index.ts";
import { type Bar, barsOf, fittingInitials, fittingNames } from "./bars.ts";
import { DayList } from "./calendar-days.tsx";
import { type Day, dateOf, dayLabel, daysOf, isWeekend, spanLabel } from "./calendar-time.ts";
import { type Duty, namesOf } from "./oncall-types.ts";

/** Until the strip is measured: that at 1280 px. */
const FIRST_WIDTH = 920;
/** Of a bar, what is beside its text. */
export const BESIDE_PX = 16;
const GAP_PX = 22;
/** Initials may use the space beside a text. */
const PADDING_PX = 12;
/** Of a day with its weekday, as "Wed 30" in bold. */
const DAY_PX = 54;

interface NamesProps {
  readonly bar: { readonly users: readonly OnCallUser[]; readonly isGap: boolean };
  /** Room for the text. */
  readonly px: number;
}

/** As much of who is on call as fits. */
export function BarNames({ bar: { users, isGap }, px }: NamesProps) {
  if (isGap) return px > GAP_PX ? <span>Gap</span> : null;
  const names = fittingNames(users, px);
  if (names !== undefined) return <span dir="auto">{names}</span>;
  // Not as text: for those who hear it, the bar's name is the full one.
  return <span class="oc-initials" data-text={fittingInitials(users, px + PADDING_PX)} />;
}

interface Props {
  readonly duty: Duty;
  readonly zone: string;
  readonly colour: (id: string | undefined) => string;
}

/** Today and a week: each weekday is among them. */
const LISTED_DAYS = 8;

/** Who is on call from now on: a fortnight in one line, or on narrow screens a week as a list by day. */
export function Ahead({ duty, zone, colour }: Props) {
  const days = daysOf(dateOf(now.peek(), zone), "fortnight", zone);
  const at = now.peek();
  const bars = barsOf(duty.shifts ?? [], at, at, days.at(-1)?.end ?? at);
  return (
    <>
      <Strip days={days} bars={bars} zone={zone} colour={colour} />
      <DayList days={days.slice(0, LISTED_DAYS)} bars={bars} zone={zone} colour={colour} />
    </>
  );
}

interface StripProps extends Omit<Props, "duty"> {
  readonly days: readonly Day[];
  readonly bars: readonly Bar[];
}

function Strip({ days, bars, zone, colour }: StripProps) {
  const strip = useRef<HTMLDivElement>(null);
  const width = useWidth(strip, FIRST_WIDTH);
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 1];
  const place = ({ start, end }: Pick<Bar | Day, "start" | "end">) => ({
    left: `${(100 * (start - from)) / (to - from)}%`,
    width: `${(100 * (end - start)) / (to - from)}%`,
  });
  const isNarrow = width / days.length < DAY_PX;
  return (
    <div class="oc-strip" ref={strip}>
      {days.map(({ date, ...day }) => (
        <span
          key={date}
          class={isWeekend(date) ? "oc-strip-day weekend" : "oc-strip-day"}
          style={place(day)}
          title={dayLabel(date)}
        >
          {shortDay(date, isNarrow)}
        </span>
      ))}
      {bars.map((bar) => {
        const who = bar.isGap ? "Gap" : namesOf(bar.users);
        const px = ((bar.end - bar.start) / (to - from)) * width - BESIDE_PX;
        return (
          <span
            key={bar.start}
            class={`oc-bar oc-strip-bar ${bar.isGap ? "oc-gap" : colour(bar.users[0]?.id)}`}
            style={place(bar)}
            title={`${who}: ${spanLabel(bar.start, bar.end, zone)}`}
          >
            <BarNames bar={bar} px={px} />
          </span>
        );
      })}
    </div>
  );
}

/** "Wed 30", or "W 30". */
function shortDay(date: string, isNarrow: boolean): string {
  const [weekday = "", day = ""] = dayLabel(date).split(" ");
  return `${isNarrow ? weekday.slice(0, 1) : weekday} ${day}`;
}
