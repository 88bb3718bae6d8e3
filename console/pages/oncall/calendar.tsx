import { ChevronLeft, ChevronRight } from "lucide";
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
} from "../../ui/index.ts";
import { barsOf, usersOf } from "./bars.ts";
import { DayList } from "./calendar-days.tsx";
import { type Chosen, Grid } from "./calendar-grid.tsx";
import { dateOf, daysOf, firstDay, rangeLabel, step, type View } from "./calendar-time.ts";
import { type FinalShift, nameOf, schedulePath } from "./oncall-types.ts";

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
