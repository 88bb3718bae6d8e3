import { ChevronLeft, ChevronRight } from "lucide";
import { useState } from "preact/hooks";
import type { OnCallDaysOff, OnCallLayers, OnCallSchedule, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import {
  Button,
  choices,
  displayZone,
  ErrorState,
  IconButton,
  now,
  Segmented,
  Skeleton,
  Toolbar,
  useLatest,
} from "../../ui/index.ts";
import { type Bar, barsIn, barsOf, marksOf, OVERRIDE_LEVEL, usersOf } from "./bars.ts";
import {
  clockOf,
  type Day,
  dateOf,
  dayLabel,
  daysLabel,
  daysOf,
  firstDay,
  isWeekend,
  rangeLabel,
  snapped,
  spanLabel,
  step,
  type View,
} from "./calendar-time.ts";
import { type FinalShift, type Layer, nameOf, namesOf, schedulePath } from "./oncall-types.ts";
import { BarNames } from "./strip.tsx";

/** A time that a user has chosen on the calendar. */
export interface Chosen {
  readonly start: number;
  readonly end: number;
  readonly users: readonly OnCallUser[];
  /** Id of the only user who is replaced. */
  readonly replaces?: string;
}

/** Width of the whole row on a wide screen, to choose names that fit. */
const ROW_PX = 1000;
/** Movement in pixels from which a press is a drag. */
const DRAG_PX = 5;
const VIEWS = choices({ fortnight: "2 weeks", month: "Month" });

interface Props {
  readonly schedule: OnCallSchedule;
  readonly colour: (id: string | undefined) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

/** Who is on call when: the result on top, its layers below. */
export function Calendar({ schedule, colour, onChoose }: Props) {
  const [zoneChoice, setZone] = useQueryState("zone");
  const zone = zoneChoice === "own" ? displayZone.value : schedule.timezone;
  const [viewName, setView] = useQueryState("view", "fortnight");
  const view: View = viewName === "month" ? "month" : "fortnight";
  const today = dateOf(now.value, zone);
  const [at, setAt] = useQueryState("at");
  const date = /^\d{4}-\d\d-\d\d$/.test(at) ? at : today;
  const days = daysOf(date, view, zone);
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 0];
  const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const final = useGet<{ data: readonly FinalShift[] }>(`${schedulePath(schedule.id)}/final-shifts`, range);
  const layers = useGet<OnCallLayers>(`${schedulePath(schedule.id)}/layers`, range);
  const go = (next: string) => setAt(firstDay(next, view) === firstDay(today, view) ? "" : next);
  useHotkeys({ t: () => setAt(""), "[": () => go(step(date, view, -1)), "]": () => go(step(date, view, 1)) });
  const daysOff = useGet<{ data: readonly OnCallDaysOff[] }>(`${schedulePath(schedule.id)}/days-off`, range);
  const failed = final.error ?? layers.error;
  const bars = barsOf(final.data?.data ?? [], Math.max(from, Date.parse(schedule.createdAt)), from, to);
  const zones = [
    { value: "", label: schedule.timezone },
    { value: "own", label: "My time" },
  ];
  return (
    <div class="stack">
      <Toolbar
        label="Calendar"
        end={
          displayZone.value === schedule.timezone ? (
            <span class="muted small">{zone}</span>
          ) : (
            <Segmented label="Time zone" small value={zoneChoice} onChange={setZone} options={zones} />
          )
        }
      >
        <IconButton icon={ChevronLeft} label="Back ([)" onClick={() => go(step(date, view, -1))} />
        <Button onClick={() => setAt("")} title="Today (t)">
          Today
        </Button>
        <IconButton icon={ChevronRight} label="Next (])" onClick={() => go(step(date, view, 1))} />
        <Segmented label="View" value={view} onChange={setView} options={VIEWS} />
        <span class="strong nowrap">{rangeLabel(days, view)}</span>
      </Toolbar>
      {failed && !final.data ? (
        <ErrorState error={failed} retry={final.reload} />
      ) : !final.data || !layers.data ? (
        <Skeleton kind="chart" />
      ) : (
        <>
          <Grid
            days={days}
            view={view}
            zone={zone}
            bars={bars}
            layers={layers.data}
            daysOff={daysOff.data?.data ?? []}
            colour={colour}
            onChoose={onChoose}
          />
          <DayList days={days} zone={zone} bars={bars} colour={colour} onChoose={onChoose} />
          <Legend people={usersOf(bars)} hasGap={bars.some(({ isGap }) => isGap)} colour={colour} />
        </>
      )}
    </div>
  );
}

interface GridProps {
  readonly days: readonly Day[];
  readonly view: View;
  readonly zone: string;
  readonly bars: readonly Bar[];
  readonly layers: OnCallLayers;
  readonly daysOff: readonly OnCallDaysOff[];
  readonly colour: (id: string | undefined) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

/** Rows over a common time axis; by instants, so that days of clock changes have their length. */
function Grid({ days, view, zone, bars, layers, daysOff, colour, onChoose }: GridProps) {
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 1];
  const share = (at: number) => `${(100 * (Math.min(Math.max(at, from), to) - from)) / (to - from)}%`;
  const width = (start: number, end: number) => `${(100 * (Math.min(end, to) - Math.max(start, from))) / (to - from)}%`;
  const place = (start: number, end: number) => ({ left: share(start), width: width(start, end) });
  const { drag, onPointerDown } = useDrag(from, to, view, zone, (start, end) =>
    onChoose({ start, end, users: usersOf(barsIn(bars, start, end)) }),
  );
  const people = new Map(layers.people.map((person) => [person.id, person]));
  const personOf = (id: string) => people.get(id) ?? { id, name: null, username: null };
  const room = (start: number, end: number) => ((end - start) / (to - from)) * ROW_PX - 16;
  const isNow = now.value >= from && now.value < to;
  return (
    <div class="oc-grid" data-view={view}>
      <div class="oc-lines" aria-hidden="true">
        {days.map(({ date, start, end }) => (
          <i key={date} class={isWeekend(date) ? "weekend" : undefined} style={place(start, end)} />
        ))}
        {isNow && <i class="oc-now" style={{ left: share(now.value) }} />}
      </div>
      <div class="oc-row oc-head">
        <div class="oc-label muted tiny">{zone}</div>
        <div class="oc-track">
          {days.map((day) => (
            <div
              key={day.date}
              class="oc-day"
              style={place(day.start, day.end)}
              data-today={dateOf(now.value, zone) === day.date || undefined}
            >
              {view === "month" ? Number(day.date.slice(8)) : shortDay(day.date)}
              {day.hours !== null && (
                <span class="oc-change" title={`The clocks change: this day has ${day.hours} hours.`}>
                  {day.hours} h
                </span>
              )}
            </div>
          ))}
        </div>
      </div>
      <div class="oc-row oc-final">
        <div class="oc-label strong">On call</div>
        <div class="oc-track" onPointerDown={onPointerDown}>
          {bars.map((bar) => (
            <button
              type="button"
              key={`${bar.start} ${bar.isGap}`}
              class={`oc-bar ${bar.isGap ? "oc-gap" : colour(bar.users[0]?.id)}${bar.isOverride ? " oc-override" : ""}`}
              style={place(bar.start, bar.end)}
              data-marks={shownMarks(bar, room(bar.start, bar.end))}
              title={`${bar.isGap ? "Gap" : namesOf(bar.users)}: ${spanLabel(bar.start, bar.end, zone)}`}
              aria-label={barLabel(bar, zone)}
              onClick={() => onChoose(bar)}
            >
              <BarNames bar={bar} px={room(bar.start, bar.end)} />
            </button>
          ))}
          {drag && (
            <div class="oc-drag" style={place(drag.start, drag.end)}>
              {spanLabel(drag.start, drag.end, zone)}
            </div>
          )}
        </div>
      </div>
      {daysOff.length > 0 && (
        <div class="oc-row">
          <div class="oc-label">Away</div>
          <div class="oc-track">
            {daysOff.map((each) => (
              <DaysOffBar key={each.id} daysOff={each} place={place} />
            ))}
          </div>
        </div>
      )}
      {layers.data.map((layer) => (
        <div class="oc-row" key={layer.id}>
          <div class="oc-label ellipsis" title={layerName(layer)} dir="auto">
            {layerName(layer)}
          </div>
          <div class="oc-track">
            {layer.spans.map(({ start, end, users, id }) => {
              const [first, last] = [Date.parse(start), Date.parse(end)];
              const names = namesOf(users.map(personOf));
              return (
                <span
                  key={`${id} ${start}`}
                  class={`oc-bar oc-layer ${colour(users[0])}`}
                  style={place(first, last)}
                  title={`${names}: ${spanLabel(first, last, zone)}`}
                >
                  <BarNames bar={{ users: users.map(personOf), isGap: false }} px={room(first, last)} />
                </span>
              );
            })}
          </div>
        </div>
      ))}
    </div>
  );
}

/** "Sun 22", and "Tue 1 Dec" where a month begins. */
function shortDay(date: string): string {
  const label = dayLabel(date);
  return date.endsWith("-01") ? label : label.replace(/ \w+$/, "");
}

/** "override, away", where there is room. */
function shownMarks(bar: Bar, px: number): string | undefined {
  const text = marksOf(bar).join(", ");
  return text !== "" && text.length * 6 < px ? text : undefined;
}

interface LegendProps {
  readonly people: readonly OnCallUser[];
  readonly hasGap: boolean;
  readonly colour: (id: string | undefined) => string;
}

/** The colours of the shown people. */
function Legend({ people, hasGap, colour }: LegendProps) {
  return (
    <ul class="oc-legend plain-list" aria-label="People">
      {people.map((person) => (
        <li key={person.id} class="oc-person">
          <i class={`oc-dot ${colour(person.id)}`} />
          <span dir="auto">{nameOf(person)}</span>
        </li>
      ))}
      {hasGap && (
        <li class="oc-person">
          <i class="oc-dot oc-gap" />
          Gap: no one is on call
        </li>
      )}
    </ul>
  );
}

interface DaysOffBarProps {
  readonly daysOff: OnCallDaysOff;
  readonly place: (start: number, end: number) => { readonly left: string; readonly width: string };
}

function DaysOffBar({ daysOff: { user, firstDay, lastDay, start, end }, place }: DaysOffBarProps) {
  const text = `${nameOf(user)} is away: ${daysLabel(firstDay, lastDay)}`;
  return (
    <span class="oc-bar oc-layer oc-off" style={place(Date.parse(start), Date.parse(end))} title={text}>
      <span dir="auto">{nameOf(user)}</span>
    </span>
  );
}

function layerName({ name, kind, level }: Layer): string {
  const text = name || (kind === "single" ? "Shift" : "Rotation");
  return level > 0 && level < OVERRIDE_LEVEL ? `${text} (level ${level})` : text;
}

function barLabel({ isGap, isOverride, users, away, start, end }: Bar, zone: string): string {
  const note = away.length > 0 ? ` (${namesOf(away)} away)` : "";
  const who = isGap ? "Gap" : `${namesOf(users)}${isOverride ? " (override)" : ""}${note}`;
  return `${who}, ${spanLabel(start, end, zone)}. Add an override`;
}

/** A time that is chosen by a drag over a row. A press without a movement stays a click. */
function useDrag(from: number, to: number, view: View, zone: string, onDone: (start: number, end: number) => void) {
  const [drag, setDrag] = useState<{ readonly start: number; readonly end: number } | null>(null);
  const latest = useLatest(onDone);
  const onPointerDown = (event: PointerEvent & { readonly currentTarget: HTMLElement }) => {
    if (event.button !== 0) return;
    const track = event.currentTarget;
    const { left, width } = track.getBoundingClientRect();
    const at = (x: number) =>
      snapped(from + (Math.min(Math.max(x - left, 0), width) / width) * (to - from), view, zone);
    let chosen: { start: number; end: number } | null = null;
    const move = (next: PointerEvent) => {
      if (chosen === null && Math.abs(next.clientX - event.clientX) < DRAG_PX) return;
      if (!track.hasPointerCapture(next.pointerId)) track.setPointerCapture(next.pointerId);
      const [a, b] = [at(event.clientX), at(next.clientX)];
      chosen = { start: Math.min(a, b), end: Math.max(a, b) };
      setDrag(chosen);
    };
    const end = (next: PointerEvent) => {
      for (const [type, stop] of [
        ["pointermove", move],
        ["pointerup", end],
        ["pointercancel", end],
      ] as const)
        track.removeEventListener(type, stop);
      setDrag(null);
      if (next.type === "pointerup" && chosen && chosen.start < chosen.end) latest.current(chosen.start, chosen.end);
    };
    for (const [type, listen] of [
      ["pointermove", move],
      ["pointerup", end],
      ["pointercancel", end],
    ] as const)
      track.addEventListener(type, listen);
  };
  return { drag, onPointerDown };
}

interface ListProps {
  readonly days: readonly Day[];
  readonly zone: string;
  readonly bars: readonly Bar[];
  readonly colour: (id: string | undefined) => string;
  readonly onChoose: (chosen: Chosen) => void;
}

/** The result on narrow screens: a list by day. */
function DayList({ days, zone, bars, colour, onChoose }: ListProps) {
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
