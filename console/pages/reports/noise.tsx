import { useState } from "preact/hooks";
import type { NoiseReport } from "../../../src/client/api-types.gen.ts";
import { type Project, useProjects } from "../../app/projects.ts";
import {
  Button,
  type Column,
  DataTable,
  EmptyState,
  formatNumber,
  formatPercent,
  Link,
  Num,
  plural,
  UserText,
} from "../../ui/index.ts";
import type { ReportChoice } from "./range.ts";
import { helpText, SuggestionActions } from "./suggestion.tsx";

type NoisyKey = NoiseReport["data"][number];

interface Props {
  readonly choice: ReportChoice;
  readonly report: NoiseReport;
}

const FIRST = 10;

/** What pages most, with what would quiet it. */
export function Noise({ choice, report }: Props) {
  const { data } = report;
  const [isWhole, setWhole] = useState(false);
  const projects = useProjects();
  const hidden = isWhole ? 0 : Math.max(0, data.length - FIRST);
  return (
    <section class="section" aria-label="Noisiest alerts">
      <h2>Noisiest alerts</h2>
      <DataTable<NoisyKey>
        label="Noisiest alerts"
        rows={data.slice(0, data.length - hidden)}
        rowKey={({ projectId, key }) => `${projectId} ${key}`}
        columns={columnsOf(choice, report, projects)}
        empty={<EmptyState small title="No alert paged anyone" text="Alerts with most pages are listed here." />}
      />
      {hidden > 0 && (
        <div>
          <Button small onClick={() => setWhole(true)}>
            {`Show ${plural(hidden, "more alert")}`}
          </Button>
        </div>
      )}
    </section>
  );
}

function columnsOf(
  choice: ReportChoice,
  report: NoiseReport,
  projects: readonly Project[],
): readonly Column<NoisyKey>[] {
  const share = (n: number | null) => <span class="num nowrap">{n === null ? "—" : formatPercent(n, 0)}</span>;
  return [
    {
      label: "Alert",
      cell: ({ key, projectId }) => (
        <span class="report-name">
          <Link href={choice.incidents(report, { key, ...projectFilter(projects, projectId) })}>{key}</Link>
        </span>
      ),
      card: "title",
    },
    ...(projects.length < 2
      ? []
      : [
          {
            label: "Project",
            cell: ({ projectId }: NoisyKey) => (
              <span class="report-name short">
                <UserText>{projects.find(({ id }) => id === projectId)?.name ?? ""}</UserText>
              </span>
            ),
            card: "meta",
            priority: 3,
          } as const,
        ]),
    { label: "Pages", cell: ({ pages }) => <Num n={pages} />, align: "end", width: "min", card: "meta" },
    {
      label: "Incidents",
      cell: ({ incidents }) => <Num n={incidents} />,
      align: "end",
      width: "min",
      card: "meta",
      priority: 2,
    },
    {
      label: "With a response",
      cell: ({ acknowledgedShare }) => share(acknowledgedShare),
      align: "end",
      width: "min",
      card: "meta",
      priority: 2,
    },
    {
      label: "Ended by itself",
      cell: ({ selfResolvedShare }) => share(selfResolvedShare),
      align: "end",
      width: "min",
      card: "meta",
      priority: 3,
    },
    {
      label: "Would save",
      cell: ({ pages, suggestions: [best] }) => (
        <span class="num nowrap">
          {best === undefined ? "—" : `${formatNumber(best.saves)} of ${formatNumber(pages)}`}
        </span>
      ),
      align: "end",
      width: "min",
      card: "hide",
      priority: 2,
    },
    { label: "What would quiet it", cell: (noisy) => <Help noisy={noisy} />, width: "wide", card: "text" },
  ];
}

function projectFilter(projects: readonly Project[], id: string): Readonly<Record<string, string>> {
  const slug = projects.find((project) => project.id === id)?.slug;
  return slug === undefined ? {} : { project: slug };
}

function Help({ noisy }: { readonly noisy: NoisyKey }) {
  if (noisy.suggestions.length === 0) return <span class="muted">Nothing stands out</span>;
  return (
    <div class="stack s2">
      {noisy.suggestions.map((suggestion) => (
        <div class="stack s2" key={suggestion.kind}>
          <span class="small">
            <UserText>{helpText(suggestion)}</UserText>
          </span>
          <SuggestionActions noisy={noisy} suggestion={suggestion} />
        </div>
      ))}
    </div>
  );
}
