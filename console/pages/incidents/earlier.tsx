import type { EarlierIncidents } from "../../../src/client/api-types.gen.ts";
import { ordinalText } from "../../../src/core/text/clean-text.ts";
import { href } from "../../app/base.ts";
import { type QueryResult, useGet } from "../../app/query.ts";
import { Card, formatDuration, Link, Time, UserText } from "../../ui/index.ts";
import { actorName, type IncidentDetail } from "./incident-types.ts";

type Earlier = QueryResult<EarlierIncidents>;

/** How often the same happened before. People without alerts in their incident have nothing to compare. */
export function useEarlier({ id, direct }: Pick<IncidentDetail, "id" | "direct">): Earlier {
  return useGet<EarlierIncidents>(direct === null ? `/incidents/${id}/earlier` : null);
}

/** "7th in 30 days, median 12 min", in one line whose place is kept. */
export function Before({ earlier: { data, error } }: { readonly earlier: Earlier }) {
  if (error && !data) return null;
  return <p class="incident-line">{data === undefined ? "Looking for earlier ones" : <BeforeText earlier={data} />}</p>;
}

function BeforeText({ earlier: { count, days, isCut, medianMs } }: { readonly earlier: EarlierIncidents }) {
  if (count === 0) return <>First in {days} days</>;
  return (
    <>
      <b>
        {isCut && "At least "}
        {ordinalText(count + 1)} in {days} days
      </b>
      {medianMs !== null && `, median ${formatDuration(Math.max(1000, medianMs))}`}
    </>
  );
}

const ENDS: Readonly<Record<string, string>> = {
  alerts: "its alerts ended",
  timeout: "no longer reported",
  auto: "resolved by its policy",
  policy: "resolved by a step",
  mirror: "resolved in the other system",
};

/** The last times, with what became of them. */
export function EarlierCard({ earlier: { data } }: { readonly earlier: Earlier }) {
  if (data === undefined || data.last.length === 0) return null;
  return (
    <Card title="Earlier" sub={<BeforeText earlier={data} />}>
      <ol class="plain-list earlier" aria-label="Earlier occurrences">
        {data.last.map(({ id, number, openedAt, resolvedAt, resolvedBy, resolvedByName, acknowledgedBy, note }) => (
          <li key={id}>
            <p>
              <Link href={href(`/incidents/${id}`)}>#{number}</Link> <Time at={openedAt} />
              {resolvedAt !== null &&
                `, ${formatDuration(Math.max(1000, Date.parse(resolvedAt) - Date.parse(openedAt)))}`}
            </p>
            <p class="muted small">
              {ENDS[resolvedBy ?? ""] ?? `resolved by ${actorName({ userId: resolvedBy ?? "", name: resolvedByName })}`}
              {acknowledgedBy.length > 0 && `, acknowledged by ${acknowledgedBy.map(actorName).join(", ")}`}
            </p>
            {note !== null && <UserText lines={3}>{note}</UserText>}
          </li>
        ))}
      </ol>
    </Card>
  );
}
