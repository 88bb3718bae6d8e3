import type { ComponentChildren } from "preact";
import { cx } from "./dom.ts";
import { formatPercent } from "./format.ts";
import type { AccentTone } from "./types.ts";

const WIDTH = 200;
const HEIGHT = 36;

/** The path of a sparkline; a series without a range is a line in the middle. */
function sparkPath(values: readonly number[]): string {
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  const step = WIDTH / Math.max(1, values.length - 1);
  const y = (value: number) => (range === 0 ? HEIGHT / 2 : HEIGHT - 3 - ((value - low) / range) * (HEIGHT - 6));
  return values
    .map((value, index) => `${index === 0 ? "M" : "L"}${(index * step).toFixed(1)} ${y(value).toFixed(1)}`)
    .join("");
}

/** The course of a number without axes. Without a label it is decoration. */
export function Sparkline({
  values,
  tone = "accent",
  label,
}: {
  readonly values: readonly number[];
  readonly tone?: AccentTone | undefined;
  readonly label?: string | undefined;
}) {
  const naming = label === undefined ? { "aria-hidden": true } : { role: "img" as const, "aria-label": label };
  return (
    <svg class={`spark ${tone}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" {...naming}>
      {values.length > 1 && <path d={sparkPath(values)} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}

export interface StatCardProps {
  readonly label: string;
  readonly value: ComponentChildren;
  /** One line below: "last hour". */
  readonly sub?: ComponentChildren;
  /** A fraction: 0.04 shows "+4 %". */
  readonly delta?: number | undefined;
  /** Which direction is good; colours the delta. */
  readonly deltaGood?: "up" | "down" | "none" | undefined;
  readonly spark?: readonly number[] | undefined;
  readonly tone?: AccentTone | undefined;
  readonly href?: string | undefined;
  readonly loading?: boolean | undefined;
}

function deltaTone(delta: number, good: StatCardProps["deltaGood"]): string {
  if (good === undefined || good === "none" || Math.abs(delta) < 0.005) return "";
  return delta > 0 === (good === "up") ? "text-ok" : "text-bad";
}

/** One number that matters, its change and its course. */
export function StatCard(props: StatCardProps) {
  const { label, value, sub, delta, deltaGood, spark, tone = "accent", href, loading } = props;
  const change =
    delta === undefined ? undefined : `${delta > 0 ? "+" : delta < 0 ? "−" : ""}${formatPercent(Math.abs(delta), 0)}`;
  const content = (
    <>
      <div class="stat-k">{label}</div>
      <div class={cx("stat-v", loading && "faint")}>{loading === true ? "–" : value}</div>
      <div class="stat-d">
        {sub}
        {sub !== undefined && change !== undefined && " · "}
        {change !== undefined && <span class={deltaTone(delta ?? 0, deltaGood)}>{change}</span>}
      </div>
      {spark !== undefined && <Sparkline values={loading === true ? [] : spark} tone={tone} />}
    </>
  );
  return href === undefined ? (
    <div class="card stat" aria-busy={loading || undefined}>
      {content}
    </div>
  ) : (
    <a class="card stat" href={href} aria-busy={loading || undefined}>
      {content}
    </a>
  );
}
