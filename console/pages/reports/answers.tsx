import type { IncidentsReport, NoiseReport, PeopleReport } from "../../../src/client/api-types.gen.ts";
import { Card, formatNumber, Link, plural, UserText } from "../../ui/index.ts";
import { type ReportChoice, spanText } from "./range.ts";
import { helpText, SuggestionActions } from "./suggestion.tsx";

interface Props {
  readonly choice: ReportChoice;
  readonly incidents: IncidentsReport;
  readonly noise: NoiseReport;
  /** Undefined: the caller sees no one's. */
  readonly people: PeopleReport | undefined;
}

/** The three questions that a month ends with. */
export function Answers({ choice, incidents, noise, people }: Props) {
  return (
    <section class="report-answers" aria-label="In short">
      <Better compared={incidents.compared} />
      <Woken choice={choice} people={people} noise={noise} />
      <First choice={choice} noise={noise} />
    </section>
  );
}

/** A change by less is none. */
const NOTABLE = 0.1;

type Compared = IncidentsReport["compared"];

/** Better if both are no worse and one is better. */
function verdictOf({ now, before }: NonNullable<Compared>): string {
  const changes = [
    [now.pages, before.pages],
    [now.ack.median, before.ack.median],
  ].flatMap(([a, b]) => (a == null || b == null || b === 0 ? [] : [(a - b) / b]));
  const isBetter = changes.some((change) => change <= -NOTABLE);
  const isWorse = changes.some((change) => change >= NOTABLE);
  if (isBetter && isWorse) return "Better and worse";
  return isBetter ? "Yes, it gets better" : isWorse ? "No, it gets worse" : "About the same";
}

function Better({ compared }: { readonly compared: Compared }) {
  return (
    <Card title="Is it getting better?">
      <p class="report-answer">{compared === null ? "Nothing to compare with" : verdictOf(compared)}</p>
      {compared === null ? (
        <p class="muted small">Too few incidents ended before to say it.</p>
      ) : (
        <Changes compared={compared} />
      )}
    </Card>
  );
}

function Changes({
  compared: { with: other, isApproximate, now, before },
}: {
  readonly compared: NonNullable<Compared>;
}) {
  const isHalves = other === "firstHalf";
  const earlier = isHalves ? "in the first half" : "before";
  const about = isApproximate ? "≈ " : "";
  const spanChange = (label: string, median: number | null, earlierMedian: number | null) => {
    if (median === null) return null;
    const was = earlierMedian === null ? "" : `, ${about}${spanText(earlierMedian)} ${earlier}`;
    return `${label}: median ${about}${spanText(median)}${was}`;
  };
  const parts = [
    `${plural(now.pages, "page")}, ${formatNumber(before.pages)} ${earlier}`,
    spanChange("First response", now.ack.median, before.ack.median),
    spanChange("End", now.resolve.median, before.resolve.median),
  ].filter((part) => part !== null);
  return (
    <>
      {isHalves && (
        <p class="muted small">
          There were too few incidents before, so the second half of the time is compared with the first.
        </p>
      )}
      <ul class="plain-list muted small">
        {parts.map((part) => (
          <li key={part}>{part}</li>
        ))}
      </ul>
    </>
  );
}

function Woken({ choice, people, noise }: Pick<Props, "choice" | "people" | "noise">) {
  const title = people === undefined || people.others ? "Who was woken most?" : "How often were you woken?";
  const [most] = people?.data ?? [];
  const pages = most ? most.pagesDay + most.pagesNight : 0;
  if (!people || !most || pages === 0)
    return (
      <Card title={title}>
        <p class="report-answer">{people ? (people.others ? "No one was paged" : "Never") : "Not shown"}</p>
        <p class="muted small">
          {people?.others
            ? "No page to a person arrived."
            : "The setting reports.people says who sees the load of others."}
        </p>
      </Card>
    );
  const [key] = most.keys;
  return (
    <Card title={title}>
      <p class="report-answer">
        <Link href={choice.paged(people, most.userId, most.pagesNight > 0 ? "night" : "all")}>
          {most.name || "Without a name"}
          {most.pagesNight > 0
            ? `: ${plural(most.pagesNight, "page")} at night`
            : `: ${plural(pages, "page")}, none at night`}
        </Link>
      </p>
      <p class="muted small">
        {`${plural(most.sleepBreaks, "sleep break")}, ${formatNumber(pages)} of ${plural(noise.pages, "page")} in all`}
        {key !== undefined && (
          <>
            {"; most by "}
            <Link href={choice.paged(people, most.userId, "all", { key: key.key })}>{key.key}</Link>
            {` (${formatNumber(key.pages)})`}
          </>
        )}
        .
      </p>
    </Card>
  );
}

/** The alert with the change that saves most pages; without such a change, the alert with the most pages. */
function First({ choice, noise }: Pick<Props, "choice" | "noise">) {
  const saving = noise.data.filter(({ suggestions }) => suggestions.length > 0);
  const savesOf = ({ suggestions: [best] }: NoiseReport["data"][number]) => best?.saves ?? 0;
  const first = saving.toSorted((a, b) => savesOf(b) - savesOf(a))[0] ?? noise.data[0];
  const suggestion = first?.suggestions[0];
  return (
    <Card title="Which alert first?">
      {first === undefined ? (
        <p class="report-answer">No alert paged anyone</p>
      ) : (
        <>
          <p class="report-answer">
            <Link href={choice.incidents(noise, { key: first.key })}>{first.key}</Link>
          </p>
          <p class="muted small">
            {suggestion === undefined ? (
              `${formatNumber(first.pages)} of ${formatNumber(noise.pages)} pages; nothing that would quiet it stands out.`
            ) : (
              <UserText>{helpText(suggestion)}</UserText>
            )}
          </p>
          {suggestion && <SuggestionActions noisy={first} suggestion={suggestion} />}
        </>
      )}
    </Card>
  );
}
