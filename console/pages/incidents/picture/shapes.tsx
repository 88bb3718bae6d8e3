import { Bell, BellOff, Check, Eye, Send, X } from "lucide";
import { displayZone, Icon, type IconNode } from "../../../ui/index.ts";
import { ticksOf } from "./axis.ts";
import type { Drawing, DrawnLane, Moment, Spot } from "./draw.ts";
import type { LaneBar, Level, Picture, Sign } from "./model.ts";

/** The signs that have an icon, with what they mean. */
const ICONS: Readonly<Partial<Record<Sign, { readonly icon: IconNode; readonly text: string }>>> = {
  sent: { icon: Send, text: "sent" },
  arrived: { icon: Bell, text: "arrived" },
  seen: { icon: Eye, text: "seen" },
  acknowledged: { icon: Check, text: "acknowledged" },
  failed: { icon: X, text: "failed" },
  withheld: { icon: BellOff, text: "not notified" },
};
const WORD_PX = 7;
const TICK_PX = 74;
/** Room for the word at the line of now. */
const NOW_PX = 42;

const percent = (fraction: number): string => `${(fraction * 100).toFixed(3)}%`;

function placeIn({ from, to }: Picture, at: number): number {
  return Math.min(1, Math.max(0, (at - from) / (to - from)));
}

interface OverProps {
  readonly picture: Picture;
  readonly width: number;
  readonly moment: Moment | undefined;
  readonly lanes: readonly DrawnLane[];
}

/** The lines of the axis, behind all lanes. */
export function Grid({ picture, width }: Omit<OverProps, "moment" | "lanes">) {
  return (
    <div class="life-over">
      {ticksIn(picture, width).map((tick) => (
        <i key={tick.at} class="life-grid" style={{ left: percent(placeIn(picture, tick.at)) }} />
      ))}
    </div>
  );
}

/** What goes over all lanes: now, and the moment that is looked at. */
export function Over({ picture, moment, lanes }: Omit<OverProps, "width">) {
  const { now: at } = picture;
  return (
    <div class="life-over">
      {at !== null && (
        <i class="life-now" style={{ left: percent(placeIn(picture, at)) }}>
          <b>now</b>
        </i>
      )}
      {moment !== undefined && <i class="life-cursor" style={{ left: percent(moment.x) }} />}
      {moment !== undefined && (
        <div class={moment.x < 0.5 ? "life-tip" : "life-tip from-end"} style={tipPlace(moment)}>
          <b dir="auto">{lanes[moment.lane]?.name}</b>
          {moment.lines.map((line, index) => (
            <span key={index} dir="auto">
              {line}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}

function tipPlace({ x, lane }: Moment) {
  return { "--at": percent(x < 0.5 ? x : 1 - x), top: `calc(${lane + 1} * var(--life-lane) + 2px)` };
}

interface LaneProps {
  readonly lane: DrawnLane;
  readonly index: number;
  readonly picture: Picture;
  readonly width: number;
}

export function LaneRow({ lane, index, picture, width }: LaneProps) {
  return (
    <div class="life-row">
      <span class="life-name" dir="auto">
        {lane.name}
      </span>
      <div class="life-track" data-lane={index}>
        {lane.levels !== undefined && <Levels levels={lane.levels} picture={picture} tone={lane.tone ?? "sev-none"} />}
        {(lane.bars ?? []).map((bar, at) => (
          <BarShape key={at} {...{ bar, picture, width }} />
        ))}
        {lane.spots.map((spot) => (
          <SpotShape key={`${spot.mark.at} ${spot.mark.sign}`} spot={spot} />
        ))}
      </div>
    </div>
  );
}

function BarShape({ bar, picture, width }: Omit<LaneProps, "lane" | "index"> & { readonly bar: LaneBar }) {
  const { from, to, tone, word = "", isThin } = bar;
  const [left, right] = [placeIn(picture, from), placeIn(picture, to)];
  const hasRoom = word !== "" && (right - left) * width > word.length * WORD_PX + 24;
  const isOpen = picture.now !== null && to >= picture.now && isThin !== true;
  return (
    <i
      class={`life-bar of-${tone} ${isThin === true ? "thin" : ""} ${isOpen ? "open" : ""}`}
      style={{ left: percent(left), width: percent(right - left) }}
    >
      {hasRoom && <bdi>{word}</bdi>}
    </i>
  );
}

function SpotShape({ spot: { x, mark, count } }: { readonly spot: Spot }) {
  const known = ICONS[mark.sign];
  return (
    <i class={`life-mark sign-${mark.sign}`} style={{ left: percent(x) }}>
      {known === undefined ? (mark.label ?? "") : <Icon node={known.icon} size={11} />}
      {count > 1 && <sup>{count}</sup>}
    </i>
  );
}

const HIGH = 100;

/** How many fire, as an area. */
function Levels({ levels, picture, tone }: { levels: readonly Level[]; picture: Picture; tone: string }) {
  const most = Math.max(1, ...levels.map(({ count }) => count));
  const points = levels.map(({ at, count }) => [placeIn(picture, at) * 1000, HIGH - (count / most) * HIGH] as const);
  const [first] = points;
  if (first === undefined) return null;
  const path = points.map(([x, y], index) => (index === 0 ? `M${x} ${HIGH}V${y}` : `H${x}V${y}`)).join("");
  return (
    <svg class={`life-levels of-${tone}`} viewBox="0 0 1000 100" preserveAspectRatio="none">
      <path d={`${path}V${HIGH}Z`} />
    </svg>
  );
}

function ticksIn(picture: Picture, width: number) {
  return ticksOf(picture, Math.max(2, Math.floor(width / TICK_PX)), displayZone.value);
}

interface AxisProps {
  readonly picture: Picture;
  readonly width: number;
  readonly track: { current: HTMLDivElement | null };
}

export function Axis({ picture, width, track }: AxisProps) {
  const half = (TICK_PX - 30) / 2 / width;
  const nowAt = picture.now === null ? null : placeIn(picture, picture.now);
  const isFree = (x: number) => nowAt === null || Math.abs(x - nowAt) * width > NOW_PX;
  const fits = (x: number) => x >= half && x <= 1 - half && isFree(x);
  return (
    <div class="life-row">
      <span class="life-name" />
      <div class="life-axis num" ref={track}>
        {ticksIn(picture, width)
          .map((tick) => ({ ...tick, x: placeIn(picture, tick.at) }))
          .filter(({ x }) => fits(x))
          .map(({ at, text, x }) => (
            <span key={at} style={{ left: percent(x) }}>
              {text}
            </span>
          ))}
      </div>
    </div>
  );
}

/** What the signs mean, of those that are in the picture. */
export function Key({ drawing }: { readonly drawing: Drawing }) {
  const signs = new Set(drawing.lanes.flatMap(({ marks = [] }) => marks.map(({ sign }) => sign)));
  return (
    <figcaption class="life-key" aria-hidden="true">
      {Object.entries(ICONS)
        .filter(([sign]) => signs.has(sign as Sign))
        .map(([sign, { icon, text }]) => (
          <span key={sign}>
            <i class={`life-mark sign-${sign}`}>
              <Icon node={icon} size={11} />
            </i>
            {text}
          </span>
        ))}
      {signs.has("step") && (
        <span>
          <i class="life-mark sign-step">1</i>step of the policy
        </span>
      )}
      {signs.has("planned") && (
        <span>
          <i class="life-mark sign-planned">2</i>next, if no one acknowledges
        </span>
      )}
      {signs.has("ended") && (
        <span>
          <i class="life-mark sign-ended" />
          alert ended
        </span>
      )}
    </figcaption>
  );
}
