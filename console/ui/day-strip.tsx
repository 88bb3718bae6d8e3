export type DayTone = "ok" | "warn" | "bad" | "info" | "none";

export interface DayOfStrip {
  /** Such as `27 Nov`. */
  readonly day: string;
  readonly tone: DayTone;
  /** What was on it, such as `down for 2 h`. */
  readonly text: string;
}

interface DayStripProps {
  /** What the strip says in one sentence. */
  readonly label: string;
  /** The oldest first. */
  readonly days: readonly DayOfStrip[];
  /** The meaning of the tones that occur. */
  readonly legend: Partial<Readonly<Record<DayTone, string>>>;
}

/** A bar a day, with a legend; screen readers get the days that were not fine as a list. */
export function DayStrip({ label, days, legend }: DayStripProps) {
  const told = days.filter(({ tone }) => tone !== "ok" && tone !== "none");
  const shown = (Object.entries(legend) as [DayTone, string][]).filter(([tone]) =>
    days.some((each) => each.tone === tone),
  );
  return (
    <div class="day-strip">
      <div class="day-bars" role="img" aria-label={label}>
        {days.map(({ day, tone, text }) => (
          <i key={day} class={tone} title={`${day}: ${text}`} />
        ))}
      </div>
      <div class="day-legend">
        <span>{days.length === 1 ? "Today" : `${days.length} days ago`}</span>
        <span class="inline">
          {shown.map(([tone, text]) => (
            <span class="day-key" key={tone}>
              <i class={tone} />
              {text}
            </span>
          ))}
        </span>
        {days.length > 1 && <span class="day-now">Today</span>}
      </div>
      {told.length > 0 && (
        <ul class="sr-only">
          {told.map(({ day, text }) => (
            <li key={day}>{`${day}: ${text}`}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
