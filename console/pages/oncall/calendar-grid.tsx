import { useRef, useState } from "preact/hooks";
import type { OnCallDaysOff, OnCallLayers, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { now, useLatest, useWidth } from "../../ui/index.ts";
import { type Bar, barsIn, marksOf, OVERRIDE_LEVEL, usersOf } from "./bars.ts";
import { type Day, dateOf, daysLabel, isWeekend, shortDay, snapped, spanLabel, type View } from "./calendar-time.ts";
import { type Layer, nameOf, namesOf } from "./oncall-types.ts";
import { BarNames, BESIDE_PX } from "./strip.tsx";

/** A time that a user has chosen on the calendar. */
export interface Chosen {
  readonly start: number;
  readonly end: number;
  readonly users: readonly OnCallUser[];
  /** Id of the only user who is replaced. */
  readonly replaces?: string;
}

/** Until the row is measured: that at 1280 px. */
const FIRST_WIDTH = 850;
/** Movement in pixels from which a press is a drag. */
const DRAG_PX = 5;

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
export function Grid({ days, view, zone, bars, layers, daysOff, colour, onChoose }: GridProps) {
  const [from, to] = [days[0]?.start ?? 0, days.at(-1)?.end ?? 1];
  const share = (at: number) => `${(100 * (Math.min(Math.max(at, from), to) - from)) / (to - from)}%`;
  const width = (start: number, end: number) => `${(100 * (Math.min(end, to) - Math.max(start, from))) / (to - from)}%`;
  const place = (start: number, end: number) => ({ left: share(start), width: width(start, end) });
  const { drag, onPointerDown } = useDrag(from, to, view, zone, (start, end) =>
    onChoose({ start, end, users: usersOf(barsIn(bars, start, end)) }),
  );
  const people = new Map(layers.people.map((person) => [person.id, person]));
  const personOf = (id: string) => people.get(id) ?? { id, name: null, username: null };
  const row = useRef<HTMLDivElement>(null);
  const px = useWidth(row, FIRST_WIDTH);
  const room = (start: number, end: number) =>
    ((Math.min(end, to) - Math.max(start, from)) / (to - from)) * px - BESIDE_PX;
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
        <div class="oc-track" ref={row} onPointerDown={onPointerDown}>
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
              <DaysOffBar key={each.id} daysOff={each} place={place} room={room} />
            ))}
          </div>
        </div>
      )}
      {layers.data.map((layer) => (
        <div class="oc-row" key={layer.id}>
          <div class="oc-label" dir="auto">
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

/** "override, away", where there is room. */
function shownMarks(bar: Bar, px: number): string | undefined {
  const text = marksOf(bar).join(", ");
  return text !== "" && text.length * 6 < px ? text : undefined;
}

interface DaysOffBarProps {
  readonly daysOff: OnCallDaysOff;
  readonly place: (start: number, end: number) => { readonly left: string; readonly width: string };
  readonly room: (start: number, end: number) => number;
}

function DaysOffBar({ daysOff: { user, firstDay, lastDay, start, end }, place, room }: DaysOffBarProps) {
  const text = `${nameOf(user)} is away: ${daysLabel(firstDay, lastDay)}`;
  const [first, last] = [Date.parse(start), Date.parse(end)];
  return (
    <span class="oc-bar oc-layer oc-off" style={place(first, last)} title={text}>
      <BarNames bar={{ users: [user], isGap: false }} px={room(first, last)} />
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
