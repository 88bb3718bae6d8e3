import "./picture.css";
import { useComputed } from "@preact/signals";
import { useMemo, useRef, useState } from "preact/hooks";
import { me } from "../../../app/session.ts";
import { Card, displayZone, now, useWidth } from "../../../ui/index.ts";
import { actorName, type IncidentDetail } from "../incident-types.ts";
import { namesOf } from "../timeline-words.tsx";
import { type DrawnLane, drawingOf, isNarrow, type Moment, momentAt } from "./draw.ts";
import { pictureOf } from "./lanes.ts";
import { Axis, Grid, Key, LaneRow, Over } from "./shapes.tsx";

/**
 * The incident along one axis of time. It is one control, as a scale is: the arrow keys go from one moment to the
 * next, and screen readers hear each. The timeline has the same as sentences.
 */
export function IncidentPicture({ incident }: { readonly incident: IncidentDetail }) {
  const track = useRef<HTMLDivElement>(null);
  const width = useWidth(track, FIRST_WIDTH);
  const at = useCoarseNow(incident);
  const zone = displayZone.value;
  const own = me.value?.id;
  const picture = useMemo(() => pictureOf(incident, at, namesIn(incident)), [incident, at, own, zone]);
  const drawing = useMemo(() => drawingOf(picture, width), [picture, width]);
  const { moments, lanes } = drawing;
  const [shown, setShown] = useState<number | null>(null);
  const last = moments.length - 1;
  const chosen = shown === null ? null : Math.min(shown, last);
  const current = moments[chosen ?? last];
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Escape") return setShown(null);
    const to = targetOf(event.key, chosen ?? last, last);
    if (to === null) return;
    event.preventDefault();
    setShown(to);
  };
  const point = (event: PointerEvent) => {
    const box = track.current?.getBoundingClientRect();
    const lane = (event.target as Element).closest<HTMLElement>("[data-lane]")?.dataset["lane"];
    if (box === undefined || lane === undefined) return setShown(null);
    setShown(momentAt(moments, Number(lane), (event.clientX - box.left) / box.width, box.width));
  };
  return (
    <Card title="What happened when">
      <figure class={isNarrow(width) ? "life narrow" : "life"}>
        <div
          class="life-plot"
          role="slider"
          tabIndex={0}
          aria-label={`Moments of the incident, in ${lanes.length} lanes. The timeline has them as sentences.`}
          aria-valuemin={1}
          aria-valuemax={Math.max(1, moments.length)}
          aria-valuenow={Math.max(1, (chosen ?? last) + 1)}
          aria-valuetext={current === undefined ? "nothing yet" : momentText(current, lanes)}
          onKeyDown={keys}
          onFocus={(event) => event.currentTarget.matches(":focus-visible") && setShown(Math.max(0, last))}
          onBlur={() => setShown(null)}
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={({ pointerType }) => pointerType === "mouse" && setShown(null)}
        >
          <Grid picture={picture} width={width} />
          {lanes.map((lane, index) => (
            <LaneRow key={lane.key} {...{ lane, index, picture, width }} />
          ))}
          <Over picture={picture} moment={chosen === null ? undefined : current} lanes={lanes} />
          <Axis track={track} picture={picture} width={width} />
        </div>
        <Key drawing={drawing} />
      </figure>
    </Card>
  );
}

/** Only as often as the picture changes by it. */
function useCoarseNow({ openedAt, resolvedAt }: IncidentDetail): number {
  const opened = Date.parse(openedAt);
  const coarse = useComputed(() => {
    if (resolvedAt !== null) return Date.parse(resolvedAt);
    const step = Math.max(1000, (now.value - opened) / 400);
    return Math.ceil(now.value / step) * step;
  });
  return coarse.value;
}

const FIRST_WIDTH = 640;

const OTHERS: Readonly<Record<string, string>> = {
  operator: "an operator",
  mirror: "someone in the other system",
};
const keyName = (id: string): string | null => (id.startsWith("key:") ? "an API key" : null);

function namesIn(incident: IncidentDetail): (userId: string) => string {
  const names = namesOf(incident);
  return (userId) => OTHERS[userId] ?? actorName({ userId, name: names.get(userId) || keyName(userId) });
}

function targetOf(key: string, from: number, last: number): number | null {
  const steps: Readonly<Record<string, number>> = {
    ...{ ArrowRight: from + 1, ArrowUp: from + 1, ArrowLeft: from - 1, ArrowDown: from - 1 },
    ...{ PageUp: from + 10, PageDown: from - 10, Home: 0, End: last },
  };
  const to = steps[key];
  return to === undefined ? null : Math.max(0, Math.min(last, to));
}

const momentText = ({ lane, lines }: Moment, lanes: readonly DrawnLane[]): string =>
  `${lanes[lane]?.name ?? ""}: ${lines.join("; ")}`;
