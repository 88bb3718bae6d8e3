import { CircleAlert, CircleCheck, Info, TriangleAlert, X } from "lucide";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Button, IconButton } from "./button.tsx";
import { cx } from "./dom.ts";
import { errorInfo } from "./errors.ts";
import { Icon } from "./icon.tsx";
import { CopyButton } from "./text.tsx";
import type { Action, IconNode, Tone } from "./types.ts";

const TONE_ICON: Record<Tone, IconNode> = {
  ok: CircleCheck,
  bad: CircleAlert,
  warn: TriangleAlert,
  info: Info,
  plain: Info,
};

/** A state as a word on its colour. */
export function Badge({
  tone,
  strong,
  icon,
  title,
  text,
  children,
}: {
  readonly tone: Tone;
  /** In place of children, so that a state can be spread. */
  readonly text?: string;
  /** The most severe of its kind: filled with the colour. */
  readonly strong?: boolean | undefined;
  readonly icon?: IconNode | undefined;
  readonly title?: string | undefined;
  readonly children?: ComponentChildren;
}) {
  return (
    <span class={cx("badge", tone, strong && "strong")} title={title} dir="auto">
      {icon && <Icon node={icon} size={12} />}
      {text ?? children}
    </span>
  );
}

/** A coloured dot with its word. @param pulse something happens right now. */
export function StatusDot({
  tone,
  pulse,
  children,
}: {
  readonly tone: Tone;
  readonly pulse?: boolean | undefined;
  readonly children?: ComponentChildren;
}) {
  return (
    <span class={cx("status", tone, pulse && "pulse")}>
      <i aria-hidden="true" />
      <span dir="auto">{children}</span>
    </span>
  );
}

/** Notice inside the page. It stays until the reason is gone, or until it is dismissed. */
export function Banner({
  tone,
  title,
  action,
  onDismiss,
  children,
}: {
  readonly tone: Tone;
  readonly title?: string | undefined;
  readonly action?: ComponentChildren;
  readonly onDismiss?: (() => void) | undefined;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class={`banner ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon node={TONE_ICON[tone]} />
      <div class="banner-t" dir="auto">
        {title !== undefined && <div class="strong">{title}</div>}
        {children !== undefined && children !== false && <div class="banner-s">{children}</div>}
      </div>
      {action}
      {onDismiss && <IconButton small icon={X} label="Dismiss" onClick={onDismiss} />}
    </div>
  );
}

/** A line of "needs attention": how bad it is, what happened, since when, and the one thing to do. */
export function Attention({
  tone,
  tag,
  strong,
  title,
  sub,
  meta,
  action,
  href,
}: {
  readonly tone: "bad" | "warn" | "info";
  /** The word of the badge: "critical". */
  readonly tag: string;
  /** The badge is filled. */
  readonly strong?: boolean | undefined;
  readonly title: string;
  readonly sub?: ComponentChildren;
  /** Since when, at the end of the line. */
  readonly meta?: ComponentChildren;
  readonly action?: ComponentChildren;
  readonly href?: string | undefined;
}) {
  return (
    <li class={`attention ${tone}`}>
      <span class="attention-k">
        <Badge tone={tone} strong={strong}>
          {tag}
        </Badge>
      </span>
      <div class="attention-t">
        {href === undefined ? (
          <b dir="auto">{title}</b>
        ) : (
          <a class="title-link" href={href} dir="auto">
            {title}
          </a>
        )}
        {sub !== undefined && <span class="sub">{sub}</span>}
      </div>
      {meta !== undefined && <div class="attention-m">{meta}</div>}
      {action !== undefined && <div class="attention-a">{action}</div>}
    </li>
  );
}

export interface EmptyStateProps {
  readonly icon?: IconNode | undefined;
  readonly title: string;
  readonly text?: ComponentChildren;
  readonly action?: ComponentChildren;
  /** A shell command that fills the list. */
  readonly command?: string | undefined;
  readonly small?: boolean | undefined;
}

/** A list without entries: what will be here, why, and what fills it. */
export function EmptyState({ icon, title, text, action, command, small }: EmptyStateProps) {
  return (
    <div class={cx("empty", small && "small")}>
      {icon && (
        <span class="empty-i">
          <Icon node={icon} size={22} />
        </span>
      )}
      <div class="strong">{title}</div>
      {text !== undefined && <p class="muted small">{text}</p>}
      {command !== undefined && (
        <div class="command">
          <code tabIndex={0}>{command}</code>
          <CopyButton text={command} quiet label="Copy command" />
        </div>
      )}
      {action !== undefined && <div class="inline">{action}</div>}
    </div>
  );
}

/** A part of the page that could not be loaded: why, its code and request id, and a retry. */
export function ErrorState({
  error,
  title,
  retry,
  small,
}: {
  readonly error: unknown;
  readonly title?: string | undefined;
  readonly retry?: Action | undefined;
  readonly small?: boolean | undefined;
}) {
  const { message, code, requestId, details } = errorInfo(error);
  return (
    <div class={cx("empty", small && "small")} role="alert">
      <span class="empty-i bad">
        <Icon node={CircleAlert} size={22} />
      </span>
      <div class="strong" dir="auto">
        {title ?? message}
      </div>
      {title !== undefined && (
        <p class="muted small" dir="auto">
          {message}
        </p>
      )}
      {details.map((line) => (
        <p class="muted small" dir="auto" key={line}>
          {line}
        </p>
      ))}
      {(code ?? requestId) !== undefined && (
        <p class="faint tiny mono">{[code, requestId && `request ${requestId}`].filter(Boolean).join(" · ")}</p>
      )}
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

/**
 * The shape of what is loading. It appears after 150 ms, so a fast answer shows nothing.
 * @param fits what comes is as high, so that what stands below need not wait on a new page
 */
export function Skeleton({
  kind = "rows",
  count = kind === "cards" ? 4 : 5,
  fits,
}: {
  readonly kind?: "rows" | "cards" | "text" | "chart" | "form" | undefined;
  readonly count?: number | undefined;
  readonly fits?: boolean | undefined;
}) {
  return (
    <div class={cx("skeleton", kind, fits && "fits")} role="status">
      <span class="sr-only">Loading</span>
      {Array.from({ length: kind === "chart" ? 1 : count }, (_, index) => (
        <div class="bone" key={`${index}`} />
      ))}
    </div>
  );
}

/** In place of what may turn out to be nothing, such as a notice: on a new page what stands below waits for it. */
export function Waiting() {
  return <div class="skeleton" hidden />;
}

/** Result of the application's `useQuery`. */
export interface QueryState<T> {
  readonly data?: T | undefined;
  readonly error?: unknown;
  readonly loading?: boolean | undefined;
  readonly reload?: Action | undefined;
}

/** Whether its first answer is under way. */
export function isPending({ data, loading }: QueryState<unknown>): boolean {
  return data === undefined && loading === true;
}

/**
 * Whether what is there is shown: once the first answers of others are there, too, which would move
 * it. Later ones do not hide it again.
 */
export function useShownWith(isThere: boolean, others: readonly QueryState<unknown>[]): boolean {
  const isShown = useRef(false);
  isShown.current = isThere && (isShown.current || !others.some(isPending));
  return isShown.current;
}

/** A list that has no rows until the first answers of others are there, too. */
export function useTogether<T extends { readonly items?: unknown; readonly data?: unknown }>(
  list: T,
  ...others: readonly QueryState<unknown>[]
): T {
  const isThere = list.items !== undefined || list.data !== undefined;
  const isShown = useShownWith(isThere, others);
  return isThere && !isShown ? { ...list, items: undefined, data: undefined } : list;
}

/** What its answer may leave out, such as a notice: {@link Waiting} until it is there, nothing without one. */
export function Late<T>({
  query,
  children,
}: {
  readonly query: QueryState<T>;
  readonly children: (data: T) => ComponentChildren;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  return isPending(query) ? <Waiting /> : null;
}

/**
 * The states of a query: skeleton, error with a retry, empty, content. Stale data stays on an
 * error.
 */
export function Loaded<T>({
  query,
  skeleton,
  empty,
  isEmpty,
  children,
}: {
  readonly query: QueryState<T>;
  readonly skeleton?: ComponentChildren;
  readonly empty?: ComponentChildren;
  readonly isEmpty?: ((data: T) => boolean) | undefined;
  readonly children: (data: T) => ComponentChildren;
}) {
  const { data, error, reload } = query;
  if (data === undefined) {
    if (error !== undefined && error !== null) return <ErrorState error={error} retry={reload} />;
    return <>{skeleton ?? <Skeleton />}</>;
  }
  const isNone = isEmpty?.(data) ?? (Array.isArray(data) && data.length === 0);
  return <>{empty !== undefined && isNone ? empty : children(data)}</>;
}

/** The initials of a person. */
export function Avatar({ name, size = 26 }: { readonly name: string; readonly size?: number | undefined }) {
  const words = name
    .trim()
    .split(/[\s@._-]+/u)
    .filter(Boolean);
  const initials = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? "")][0] ?? "");
  return (
    <span
      class="avatar"
      style={{ width: `${size}px`, height: `${size}px`, fontSize: `${Math.round(size * 0.42)}px` }}
      aria-hidden="true"
    >
      <bdi>{initials.join("").toUpperCase() || "?"}</bdi>
    </span>
  );
}

/** How far a task is; without `value` it is running and its end unknown. */
export function Progress({
  value,
  max = 1,
  label,
  showValue,
}: {
  readonly value?: number | undefined;
  readonly max?: number | undefined;
  readonly label: string;
  readonly showValue?: boolean | undefined;
}) {
  const share = value === undefined || max <= 0 ? undefined : Math.min(1, Math.max(0, value / max));
  const percent = share === undefined ? undefined : Math.round(share * 100);
  return (
    <div class="progress">
      <div
        class={cx("track", share === undefined && "unknown")}
        role="progressbar"
        aria-label={label}
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <div style={share === undefined ? undefined : { width: `${percent}%` }} />
      </div>
      {showValue === true && percent !== undefined && <span class="num tiny muted">{percent} %</span>}
    </div>
  );
}

/** How much of a limit is used. */
export function Meter({
  value,
  max,
  label,
  tone = "plain",
  text,
}: {
  readonly value: number;
  readonly max: number;
  readonly label: string;
  readonly tone?: Tone | undefined;
  readonly text?: string | undefined;
}) {
  const percent = max <= 0 ? 0 : Math.min(100, Math.max(0, (value / max) * 100));
  return (
    <div class="meter">
      <div class="spread small">
        <span>{label}</span>
        <span class="num muted">{text ?? `${Math.round(percent)} %`}</span>
      </div>
      <div
        class={`track ${tone}`}
        role="meter"
        aria-label={label}
        aria-valuenow={value}
        aria-valuemin={0}
        aria-valuemax={max}
        aria-valuetext={text}
      >
        <div style={{ width: `${percent}%` }} />
      </div>
    </div>
  );
}
