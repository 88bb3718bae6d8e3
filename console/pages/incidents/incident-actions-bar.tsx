import { ArrowRightLeft, BellOff, Check, ChevronsUp, CircleCheck, Moon, NotebookPen, UserPlus } from "lucide";
import { me } from "../../app/session.ts";
import { Button, Menu, type MenuItem, openDialog } from "../../ui/index.ts";
import { acknowledge, askSnooze, escalate, resolve, silence, unacknowledge, unsnooze } from "./incident-actions.tsx";
import type { IncidentDetail } from "./incident-types.ts";
import { focusNote } from "./note-field.tsx";
import { PeopleDialog } from "./people-dialog.tsx";
import { postMortemItems } from "./post-mortem.ts";

interface Props {
  readonly incident: IncidentDetail;
}

/** Whether an acknowledgement of the user changes anything. */
export function mayAcknowledge(incident: IncidentDetail): boolean {
  const isMine = incident.acknowledgements.some(({ userId }) => userId === me.value?.id);
  return incident.state === "open" && !isMine;
}

function PostMortemMenu({ incident }: Props) {
  const items = postMortemItems(incident);
  return items.length === 0 ? null : <Menu label="Post-mortem" text="Post-mortem" variant="default" items={items} />;
}

/** At the right of the title. */
export function Actions({ incident }: Props) {
  if (incident.state === "resolved" || !incident.mayAct)
    return (
      <div class="inline">
        <PostMortemMenu incident={incident} />
        {incident.mayAct && <Button onClick={focusNote}>Add a note</Button>}
      </div>
    );
  const snooze = { label: "Snooze…", icon: Moon, keys: "z", onSelect: () => askSnooze(incident) };
  return (
    <div class="inline only-wide">
      <Button keys="e" onClick={() => resolve(incident)}>
        Resolve
      </Button>
      <MainAction incident={incident} />
      <More first={snooze} incident={incident} />
    </div>
  );
}

function MainAction({ incident }: Props) {
  if (mayAcknowledge(incident))
    return (
      <Button variant="primary" icon={Check} keys="a" onClick={() => acknowledge(incident)}>
        Acknowledge
      </Button>
    );
  // The button stands where Acknowledge was: the second click of a double click is not meant for it.
  const onClick = ({ detail }: MouseEvent) => (detail > 1 ? undefined : unacknowledge(incident));
  return <Button onClick={onClick}>Unacknowledge</Button>;
}

/** All that has no button. @param first what has one only in the other of header and bar */
function More({ first, incident }: Props & { readonly first: MenuItem }) {
  const ask = (asking: "responders" | "reassign") => () => openDialog(<PeopleDialog {...{ incident, asking }} />);
  return (
    <Menu
      label="More actions"
      text="More"
      variant="default"
      items={[
        first,
        ...(incident.isSnoozed ? [{ label: "End the snooze", onSelect: () => unsnooze(incident) }] : []),
        ...(incident.direct === null
          ? [{ label: "Silence…", icon: BellOff, keys: "s", onSelect: () => silence(incident) }]
          : []),
        { label: "Add a note", icon: NotebookPen, onSelect: focusNote },
        "separator",
        { label: "Escalate now…", icon: ChevronsUp, onSelect: () => escalate(incident) },
        { label: "Add responders…", icon: UserPlus, onSelect: ask("responders") },
        { label: "Reassign…", icon: ArrowRightLeft, onSelect: ask("reassign") },
        ...postMortemItems(incident).flatMap((item, at) => (at === 0 ? ["separator" as const, item] : [item])),
      ]}
    />
  );
}

/** On phones at the bottom of the screen. */
export function BarActions({ incident }: Props) {
  return (
    <>
      <MainAction incident={incident} />
      <Button icon={Moon} onClick={() => askSnooze(incident)}>
        Snooze
      </Button>
      <More
        first={{ label: "Resolve…", icon: CircleCheck, keys: "e", onSelect: () => resolve(incident) }}
        incident={incident}
      />
    </>
  );
}
