import { cronWords } from "./cron-words.ts";

interface Props {
  readonly cron: string;
  /** What follows it, such as "in Europe/Berlin". */
  readonly more: string;
}

/** A cron pattern in words, with the pattern beside it. */
export function CronText({ cron, more }: Props) {
  const words = cronWords(cron);
  return (
    <span class="in-text">
      {words === null ? <span class="mono">{cron}</span> : words} {more}{" "}
      {words !== null && <span class="mono small muted nowrap">{cron}</span>}
    </span>
  );
}
