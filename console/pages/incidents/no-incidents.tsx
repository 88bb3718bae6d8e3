import { Siren } from "lucide";
import { href } from "../../app/base.ts";
import { Button } from "../../ui/index.ts";
import { notifiedText } from "./counts-text.ts";

const EMPTY = {
  icon: Siren,
  title: "All is quiet",
  text: "An alert opens an incident, and its policy decides who is notified. Try one with a project's API key:",
  command: `curl ${location.origin}/api/v1/alerts -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"alerts":[{"labels":{"alertname":"Test"}}]}'`,
};

/** Where the user was notified of incidents of other projects, not all is quiet. */
export function noIncidents(elsewhere: number) {
  return elsewhere === 0
    ? EMPTY
    : {
        icon: Siren,
        title: notifiedText(elsewhere),
        text: "The projects that you read have no open incident; those that notified you are of another project.",
        action: <Button href={href("/incidents?mine=true")}>Show mine</Button>,
      };
}
