import { href } from "../../app/base.ts";
import { type Labels, matcherText } from "../../app/matchers.ts";

/** Labels as links to the alerts that have them. @param project of the alerts, id or slug */
export function LabelLinks({ labels, project }: { readonly labels: Labels; readonly project: string }) {
  return (
    <span class="label-links">
      {Object.entries(labels).map(([name, value]) => {
        const matcher = matcherText({ name, operator: "=", value });
        const query = new URLSearchParams({ ...(project === "default" ? {} : { project }), matcher });
        return (
          <a key={name} class="chip mono" href={href(`/alerts?${query}`)} title={`Alerts with ${matcher}`}>
            <span class="user-text">
              <bdi>{name}</bdi>=<bdi>{value}</bdi>
            </span>
          </a>
        );
      })}
    </span>
  );
}
