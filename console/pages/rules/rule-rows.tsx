import { type Column, Num, Time, UserText } from "../../ui/index.ts";
import { RuleState } from "./rule-state.tsx";
import type { Rule } from "./types.ts";

export function columnsOf(projectOf: (id: string | null) => string): readonly Column<Rule>[] {
  return [
    {
      label: "Rule",
      sortBy: "name",
      width: "wide",
      card: "title",
      cell: ({ name, condition }) => (
        <>
          <UserText lines={1}>{name}</UserText>
          <div class="mono faint ellipsis rule-condition" title={condition} dir="ltr">
            {condition}
          </div>
        </>
      ),
    },
    { label: "State", width: "min", card: "aside", cell: (rule) => <RuleState rule={rule} /> },
    {
      label: "Project",
      priority: 3,
      card: "meta",
      cell: ({ projectId }) => (
        <span class="nowrap" dir="auto">
          {projectOf(projectId)}
        </span>
      ),
    },
    {
      label: "Last fired",
      width: "min",
      card: "meta",
      cardLabel: true,
      cell: ({ activity }) => <Time at={activity?.lastFiredAt} empty="never" />,
    },
    {
      label: "Matches, 24 h",
      align: "end",
      priority: 2,
      cell: ({ activity }) => <Lately n={activity?.matched} isCut={activity?.isCut === true} />,
    },
    {
      label: "Fired, 24 h",
      align: "end",
      cell: ({ activity }) => <Lately n={activity?.fired} isCut={activity?.isCut === true} />,
    },
  ];
}

function Lately({ n = 0, isCut }: { readonly n: number | undefined; readonly isCut: boolean }) {
  return (
    <span class={n === 0 ? "faint" : ""}>
      <Num n={n} />
      {isCut && "+"}
    </span>
  );
}
