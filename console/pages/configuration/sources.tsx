import type { Answers, ConfigurationDirectory } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { Facts } from "../../forms/facts.tsx";
import { Badge, Banner, Card, type Column, DataTable, ErrorState, Num, Time, UserText } from "../../ui/index.ts";

type Sources = Answers["listConfigurationSources"];
type Source = Sources["data"][number];

const COLUMNS: readonly Column<Source>[] = [
  { label: "Source", cell: ({ source }) => <UserText>{source}</UserText>, card: "title", width: "wide" },
  {
    label: "State",
    cell: ({ isLocked }) => <Badge tone="plain">{isLocked ? "locked" : "may be changed here"}</Badge>,
    card: "aside",
  },
  { label: "Objects", cell: ({ objects }) => <Num n={objects} />, align: "end" },
  { label: "Last apply", cell: ({ lastAppliedAt }) => <Time at={lastAppliedAt} />, align: "end" },
];

/** Who owns what, and the directory that the server reads; nothing where there is neither. */
export function Sources() {
  const { data: found, error, reload } = useGet<Sources>("/configuration/sources");
  if (!found) return error ? <ErrorState small error={error} retry={reload} /> : null;
  const { data, directory } = found;
  return (
    <>
      {directory && <Directory of={directory} />}
      {data.length > 0 && (
        <Card title="Sources" sub="Each is a set of files with one owner." flush>
          <DataTable<Source> bare dense label="Sources" rows={data} rowKey={({ source }) => source} columns={COLUMNS} />
        </Card>
      )}
    </>
  );
}

function Directory({ of }: { readonly of: ConfigurationDirectory }) {
  const { path, isOk, problem } = of;
  return (
    <>
      {problem && (
        <Banner tone="bad" title="The files of the directory are not applied">
          <UserText>{problem.message}</UserText> Since <Time at={problem.at} />; what was applied before stays.
        </Banner>
      )}
      <Card
        title="Directory"
        sub="The server reads it at its start and when its files change."
        actions={
          <Badge tone={isOk ? "ok" : problem ? "bad" : "plain"}>
            {isOk ? "applied" : problem ? "refused" : "not applied yet"}
          </Badge>
        }
      >
        <Facts
          of={of}
          show={[
            { label: "Path", value: <UserText mono>{path}</UserText> },
            { name: "appliedAt", label: "Last apply", empty: "never" },
            { name: "checkedAt", label: "Last read", empty: "not since the server started" },
          ]}
        />
      </Card>
    </>
  );
}
