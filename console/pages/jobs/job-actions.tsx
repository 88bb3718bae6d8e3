import { Button, Menu } from "../../ui/index.ts";
import { runBulk } from "./bulk.ts";
import { ACTIONS, type JobFilter } from "./job-types.ts";

/** Actions on everything that the filter matches. */
export function AllMenu({ filter }: { readonly filter: JobFilter }) {
  const items = ACTIONS.flatMap((action) => {
    const states = action.states.filter((each) => filter.state === undefined || filter.state.includes(each));
    if (states.length === 0) return [];
    return {
      label: `${action.label} all matches`,
      danger: action.isDangerous === true,
      onSelect: async () => void (await runBulk(action, { filter: { ...filter, state: states } })),
    };
  });
  return <Menu label="All matches" text="All matches" variant="default" items={items} align="end" />;
}

export function BulkButtons({ ids, onDone }: { readonly ids: readonly string[]; readonly onDone: () => void }) {
  return (
    <>
      {ACTIONS.map((action) => (
        <Button
          key={action.name}
          small
          variant={action.isDangerous ? "danger" : "default"}
          onClick={async () => {
            if (await runBulk(action, { ids })) onDone();
          }}
        >
          {action.label}
        </Button>
      ))}
    </>
  );
}
