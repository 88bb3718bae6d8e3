import { useProjects } from "../../app/projects.ts";
import { me } from "../../app/session.ts";
import { DescriptionList, StatusDot, Time, UserText } from "../../ui/index.ts";
import type { IncidentDetail } from "./incident-types.ts";
import { LabelLinks } from "./label-links.tsx";

interface Props {
  readonly incident: IncidentDetail;
}

/** Who was notified, has seen it and acknowledged it. */
export function People({ incident }: Props) {
  const { audience, acknowledgements } = incident;
  if (audience.length === 0) return <p class="muted">No one was notified.</p>;
  return (
    <DescriptionList
      items={audience.map(({ userId, name, notifications, firstAt, lastAt, seenAt }) => {
        const ack = acknowledgements.find((each) => each.userId === userId);
        return {
          label: userId === me.value?.id ? `${name} (you)`.trim() : name || userId.slice(-12),
          value:
            ack === undefined ? (
              <StatusDot tone="plain">{seenAt === null ? "has not seen it" : "has seen it"}</StatusDot>
            ) : (
              <StatusDot tone="ok">
                acknowledged <Time at={ack.at} />
              </StatusDot>
            ),
          hint: (
            <>
              notified <Time at={firstAt} />
              {notifications > 1 && (
                <>
                  , {notifications} times, last <Time at={lastAt} />
                </>
              )}
            </>
          ),
        };
      })}
    />
  );
}

export function Details({ incident }: Props) {
  const { projectId, groupLabels, notifiedAt, ackQuorum } = incident;
  const project = useProjects().find(({ id }) => id === projectId);
  const isGrouped = Object.keys(groupLabels).length > 0;
  return (
    <DescriptionList
      items={[
        { label: "Project", value: <UserText>{project?.name ?? projectId}</UserText> },
        {
          label: "Grouped by",
          value: isGrouped ? <LabelLinks labels={groupLabels} project={project?.slug ?? projectId} /> : "nothing",
        },
        { label: "First notification", value: <Time at={notifiedAt} mode="full" empty="none" /> },
        ...(ackQuorum > 1 ? [{ label: "Acknowledgements needed", value: ackQuorum }] : []),
      ]}
    />
  );
}
