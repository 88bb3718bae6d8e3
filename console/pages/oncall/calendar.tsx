import { useRef, useState } from "preact/hooks";
import { useHotkeys } from "../../app/hotkeys.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import { Button, displayZone, ErrorState, now, Segmented, Skeleton, Toolbar } from "../../ui/index.ts";
import {
  clockOf,
  type Day,
  dateOf,
  dayLabel,
  daysLabel,
  daysOf,
  firstDay,
  rangeLabel,
  snapped,
  spanLabel,
  step,
  type View,
} from "./calendar-time.ts";
import {
  type DaysOff,
  type FinalShift,
  type Layer,
  type Layers,
  nameOf,
  namesOf,
  type Person,
  type Schedule,
  schedulePath,
} from "./oncall-types.ts";

/** A time that a user has chosen on the calendar. */
export interface Chosen {
  readonly start: number;
  readonly end: number;
  readonly users: readonly Person[];
  /** Id of the only user who is replaced. */
  readonly replaces?: string;
}

/** A part of a row: who is on call, or a gap. */
interface Bar {
  readonly start: number;
  readonly end: number;
  readonly users: readonly Person[];
  readonly isOverride: boolean;
  readonly isGap: boolean;
  /** Users who are away in this time, and stay on call. */
  readonly away: readonly Person[];
}

const OVERRIDE_LEVEL = 10;
const COLOURS = 6;
/** Movement in pixels from which a press is a drag. */
const DRAG_PX = 5;
const VIEWS = [
  { value: "week", label: "Week" },
  { value: "month", label: "Month" },
];

interface Props {
  readonly schedule: Schedule;
  readonly onChoose: (chosen: Chosen) => void;
}

/** Who is on call when: the result on top, its layers below. */
export function Calendar({ schedule, onChoose }: Props) {
  const [zoneChoice, setZone] = useQueryState("zone");
  const zone = zoneChoice === "own" ? displayZone.value : schedule.timezone;
  const [viewName, setView] = useQueryState("view", "week");
  const view: View = viewName === "month" ? "month" : "week";
  const today = dateOf(now.value, zone);
  const [at, setAt] = useQueryState("at");
  const date = /^\d{4}-\d\d-\d\d$/.test(at) ? at : today;
  const days = daysOf(date, view, zone);
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 0];
  const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const final = useGet<{ data: readonly FinalShift[] }>(`${schedulePath(schedule.id)}/final-shifts`, range);
  const layers = useGet<Layers>(`${schedulePath(schedule.id)}/layers`, range);
  const go = (next: string) => setAt(firstDay(next, view) === firstDay(today, view) ? "" : next);
  useHotkeys({ t: () => setAt(""), "[": () => go(step(date, view, -1)), "]": () => go(step(date, view, 1)) });
  const daysOff = useGet<{ data: readonly DaysOff[] }>(`${schedulePath(schedule.id)}/days-off`, range);
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
        <Button onClick={() => go(step(date, view, -1))} title="Back ([)">
          Back
        </Button>
        <Button onClick={() => setAt("")} title="Today (t)">
          Today
        </Button>
        <Button onClick={() => go(step(date, view, 1))} title="Next (])">
          Next
        </Button>
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
            onChoose={onChoose}
          />
          <DayList days={days} zone={zone} bars={bars} onChoose={onChoose} />
        </>
      )}
    </div>
  );
}

/** The final shifts with the gaps between them. @param since before it there was no schedule */
function barsOf(shifts: readonly FinalShift[], since: number, from: number, to: number): readonly Bar[] {
  const bars: Bar[] = [];
  const gap = (start: number, end: number) => {
    if (start < end) bars.push({ start, end, users: [], isOverride: false, isGap: true, away: [] });
  };
  let covered = since;
  for (const { start, end, users, level } of shifts) {
    const [first, last] = [Math.max(Date.parse(start), from), Math.min(Date.parse(end), to)];
    gap(covered, first);
    const away = users.filter((user) => user.away !== null);
    bars.push({ start: first, end: last, users, isOverride: level === OVERRIDE_LEVEL, isGap: false, away });
    covered = last;
  }
  gap(covered, to);
  return bars;
}

interface GridProps {
  readonly days: readonly Day[];
  readonly view: View;
  readonly zone: string;
  readonly bars: readonly Bar[];
  readonly layers: Layers;
  readonly daysOff: readonly DaysOff[];
  readonly onChoose: (chosen: Chosen) => void;
}

/** Rows over a common time axis; by instants, so that days of clock changes have their length. */
function Grid({ days, view, zone, bars, layers, daysOff, onChoose }: GridProps) {
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 1];
  const share = (at: number) => `${(100 * (Math.min(Math.max(at, from), to) - from)) / (to - from)}%`;
  const width = (start: number, end: number) => `${(100 * (Math.min(end, to) - Math.max(start, from))) / (to - from)}%`;
  const place = (start: number, end: number) => ({ left: share(start), width: width(start, end) });
  const { drag, onPointerDown } = useDrag(from, to, view, zone, (start, end) =>
    onChoose({ start, end, users: usersIn(bars, start, end) }),
  );
  const order = new Map(layers.people.map(({ id }, at) => [id, at % COLOURS]));
  const people = new Map(layers.people.map((person) => [person.id, person]));
  const colour = (id: string | undefined) => `oc-c${order.get(id ?? "") ?? 0}`;
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
              {view === "week" ? dayLabel(day.date) : Number(day.date.slice(8))}
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
              class={`oc-bar ${bar.isGap ? "oc-gap" : `${colour(bar.users[0]?.id)} ${marksOf(bar)}`}`}
              style={place(bar.start, bar.end)}
              title={`${bar.isGap ? "Gap" : namesOf(bar.users)}: ${spanLabel(bar.start, bar.end, zone)}`}
              aria-label={barLabel(bar, zone)}
              onClick={() => onChoose(bar)}
            >
              <span dir="auto">{bar.isGap ? "Gap" : namesOf(bar.users)}</span>
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
              const names = namesOf(users.map((user) => people.get(user) ?? { id: user, name: null, username: null }));
              return (
                <span
                  key={`${id} ${start}`}
                  class={`oc-bar oc-layer ${colour(users[0])}`}
                  style={place(first, last)}
                  title={`${names}: ${spanLabel(first, last, zone)}`}
                >
                  <span dir="auto">{names}</span>
                </span>
              );
            })}
          </div>
        </div>
      ))}
    </div>
  );
}

function marksOf({ isOverride, away }: Bar): string {
  return `${isOverride ? "oc-override" : ""} ${away.length > 0 ? "oc-away" : ""}`;
}

interface DaysOffBarProps {
  readonly daysOff: DaysOff;
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

function isWeekend(date: string): boolean {
  return [0, 6].includes(new Date(`${date}T00:00:00Z`).getUTCDay());
}

function barLabel({ isGap, isOverride, users, away, start, end }: Bar, zone: string): string {
  const note = away.length > 0 ? ` (${namesOf(away)} away)` : "";
  const who = isGap ? "Gap" : `${namesOf(users)}${isOverride ? " (override)" : ""}${note}`;
  return `${who}, ${spanLabel(start, end, zone)}. Add an override`;
}

function usersIn(bars: readonly Bar[], start: number, end: number): readonly Person[] {
  const found = bars.filter((bar) => bar.start < end && bar.end > start).flatMap(({ users }) => users);
  return [...new Map(found.map((person) => [person.id, person])).values()];
}

/** A time that is chosen by a drag over a row. A press without a movement stays a click. */
function useDrag(from: number, to: number, view: View, zone: string, onDone: (start: number, end: number) => void) {
  const [drag, setDrag] = useState<{ readonly start: number; readonly end: number } | null>(null);
  const latest = useRef(onDone);
  latest.current = onDone;
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
  readonly onChoose: (chosen: Chosen) => void;
}

/** The result on narrow screens: a list by day. */
function DayList({ days, zone, bars, onChoose }: ListProps) {
  return (
    <ol class="oc-list plain-list stack s2" aria-label="On call by day">
      {days.map((day) => (
        <li key={day.date} class="stack s2">
          <div class="spread">
            <span class={day.date === dateOf(now.value, zone) ? "strong" : "muted"}>{dayLabel(day.date)}</span>
            {day.hours !== null && <span class="text-warn small">clocks change: {day.hours} h</span>}
          </div>
          {bars
            .filter(({ start, end }) => start < day.end && end > day.start)
            .map((bar) => (
              <button
                type="button"
                key={`${bar.start} ${bar.isGap}`}
                class={bar.isGap ? "oc-item oc-gap" : "oc-item"}
                title="Add an override"
                onClick={() => onChoose(bar)}
              >
                <span class="num nowrap">
                  {bar.start <= day.start && bar.end >= day.end
                    ? "all day"
                    : `${clockOf(Math.max(bar.start, day.start), zone)}–${bar.end >= day.end ? "24:00" : clockOf(bar.end, zone)}`}
                </span>
                <span class="grow oc-name" dir="auto">
                  {bar.isGap ? "Gap" : namesOf(bar.users)}
                </span>
                {bar.isOverride && <small class="muted">override</small>}
                {bar.away.length > 0 && <small class="text-warn">away</small>}
              </button>
            ))}
        </li>
      ))}
    </ol>
  );
}
