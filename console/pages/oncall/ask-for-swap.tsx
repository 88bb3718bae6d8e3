import type { CreateOnCallSwap, OnCallSchedule, OnCallSwap, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { onCallSwap } from "../../forms/on-call-swap.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Combobox, DateTimeInput, Dialog, toast } from "../../ui/index.ts";
import { nameOf, schedulePath } from "./oncall-types.ts";

interface AskProps {
  readonly schedule: Pick<OnCallSchedule, "id" | "projectId" | "timezone">;
  readonly people: readonly OnCallUser[];
  readonly span?: { readonly start: string; readonly end: string };
  /** Whose shifts; default: the user's own. */
  readonly asker?: string;
}

/** Asks that another user takes over shifts. */
export function AskForSwap({ schedule: { id, projectId, timezone: zone }, people, span, asker }: AskProps) {
  const own = me.value?.id ?? "";
  const form = useResource<CreateOnCallSwap, OnCallSwap>(onCallSwap, {
    path: `${schedulePath(id)}/swaps`,
    start: {
      ...(span && { start: span.start, end: span.end }),
      ...(asker !== undefined && asker !== own && { userId: asker }),
    },
  });
  const ask = async () => {
    if ((await form.send()) === undefined) return false;
    toast.ok("The swap is requested.");
  };
  const at = (value = "", change: (iso: string) => void) => (
    <DateTimeInput value={value} onChange={change} zone={zone} />
  );
  const whose: FieldOf<CreateOnCallSwap> = {
    name: "userId",
    label: "Shifts of",
    required: true,
    as: (value = own, change) => (
      <Combobox
        value={value}
        onChange={change}
        options={[
          { value: own, label: "Me" },
          ...people.filter((each) => each.id !== own).map((each) => ({ value: each.id, label: nameOf(each) })),
        ]}
        load={memberFinder(projectId)}
      />
    ),
  };
  const isWriter = canInProject("oncall:write") === true;
  return (
    <Dialog title="Ask for a swap" subtitle={`Times in ${zone}.`} onSubmit={ask} action="Ask">
      <div class="grid2">
        <Fields
          of={form}
          show={[
            { name: "start", label: "From", as: at },
            { name: "end", label: "Until", as: at },
          ]}
        />
      </div>
      <Fields of={form} show={isWriter ? [whose, "reason"] : ["reason"]} />
    </Dialog>
  );
}
