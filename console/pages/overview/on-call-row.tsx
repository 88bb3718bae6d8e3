import { useState } from "preact/hooks";
import type { OnCallOwnShifts, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { refresh, useGet } from "../../app/query.ts";
import { useProjectChanges } from "../../app/refresh.ts";
import { me } from "../../app/session.ts";
import { displayZone, Link, plural, Skeleton, UserText } from "../../ui/index.ts";
import { clockOf, dateOf, dayLabel, spanLabel } from "../oncall/calendar-time.ts";
import { type Duty, namesOf } from "../oncall/oncall-types.ts";

type Shift = OnCallOwnShifts["data"][number];

const SHOWN = 6;
const DAYS = 30;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const useDuties = (isShown = true) => useGet<{ data: readonly Duty[] }>(isShown ? "/oncall/now" : null);

/** Whether {@link OnCallRow}, if it is shown, has its final height. */
export function useIsOnCallKnown(isShown = true): boolean {
  const { data, error } = useDuties(isShown);
  return !isShown || data !== undefined || error !== undefined;
}

/** Who is on call now and next on each schedule, and when the user is. */
export function OnCallRow() {
  const [to] = useState(() => new Date(Math.ceil(Date.now() / HOUR_MS) * HOUR_MS + DAYS * DAY_MS).toISOString());
  const duties = useDuties();
  const own = useGet<{ data: readonly Shift[] }>("/oncall/shifts", { to });
  useProjectChanges(/^oncall\./, () => refresh("/oncall"), { isExact: false });
  if (duties.error && !duties.data) return null;
  if (!duties.data) return <Skeleton count={2} />;
  const all = duties.data.data;
  if (all.length === 0)
    return (
      <p class="muted">
        {/* The user may be on call in a project that the user does not read. */}
        {own.data?.data.length ? ownText(own.data.data) : "No schedule says who is on call."}{" "}
        <Link href={href("/oncall")}>On-call</Link>
      </p>
    );
  const sorted = all.toSorted((a, b) => rankOf(a) - rankOf(b) || a.name.localeCompare(b.name));
  return (
    <section class="ov-oncall" aria-label="On call">
      <p class="ov-mine">{own.data && ownText(own.data.data)}</p>
      <ul class="ov-duties">
        {sorted.slice(0, SHOWN).map((duty) => (
          <DutyItem key={duty.scheduleId} duty={duty} />
        ))}
      </ul>
      {all.length > SHOWN && (
        <Link href={href("/oncall")}>{`${plural(all.length - SHOWN, "more schedule")}, On-call has all`}</Link>
      )}
    </section>
  );
}

/** The user's own schedules first, then those without anyone. */
function rankOf({ current, next }: Duty): number {
  if (isAmong(current)) return 0;
  if (current.length === 0) return 1;
  return isAmong(next?.users ?? []) ? 2 : 3;
}

function isAmong(people: readonly OnCallUser[]): boolean {
  return people.some(({ id }) => id === me.value?.id);
}

/** "Mon 30 Nov 09:00". */
function instantLabel(at: string): string {
  const ms = Date.parse(at);
  return `${dayLabel(dateOf(ms, displayZone.value))} ${clockOf(ms, displayZone.value)}`;
}

function endsInGap({ current, until, next }: Duty): boolean {
  return current.length > 0 && until !== null && (next === null || Date.parse(next.start) > Date.parse(until));
}

function DutyItem({ duty }: { readonly duty: Duty }) {
  const { scheduleId, name, current, until, next } = duty;
  return (
    <li class={current.length === 0 ? "card ov-duty gap" : "card ov-duty"}>
      <a class="ov-duty-name" href={href(`/oncall/${scheduleId}`)}>
        <UserText>{name}</UserText>
      </a>
      <span class={current.length === 0 ? "strong text-bad" : "strong"}>
        <UserText>{current.length === 0 ? "No one is on call" : namesOf(current)}</UserText>
      </span>
      <span class="muted small num">
        {until === null ? "no change is planned" : `until ${instantLabel(until)}`}
        {endsInGap(duty) && <span class="strong text-bad">, then no one</span>}
      </span>
      {next && (
        <span class="muted small ov-next">
          <UserText>{`Next: ${namesOf(next.users)}`}</UserText>
          <span class="num">{` ${spanLabel(Date.parse(next.start), Date.parse(next.end), displayZone.value)}`}</span>
        </span>
      )}
    </li>
  );
}

/** "You are on call until Mon 30 Nov 09:00 (Infrastructure)." or the next shift. */
function ownText(shifts: readonly Shift[]): string {
  const now = Date.now();
  const current = shifts.filter(({ start, end }) => Date.parse(start) <= now && Date.parse(end) > now);
  if (current.length > 0) {
    const parts = current.map((shift) => `until ${instantLabel(endOf(shift, shifts))} (${shift.name})`);
    return `You are on call ${parts.join(" and ")}.`;
  }
  const next = shifts.filter(({ start }) => Date.parse(start) > now).sort((a, b) => a.start.localeCompare(b.start))[0];
  if (!next) return `You are not on call in the next ${DAYS} days.`;
  const span = spanLabel(Date.parse(next.start), Date.parse(endOf(next, shifts)), displayZone.value);
  return `Your next shift: ${span} (${next.name}).`;
}

/** The end of shifts that follow each other without a pause. */
function endOf(shift: Shift, shifts: readonly Shift[]): string {
  const after = shifts.find(({ scheduleId, start }) => scheduleId === shift.scheduleId && start === shift.end);
  return after ? endOf(after, shifts) : shift.end;
}
