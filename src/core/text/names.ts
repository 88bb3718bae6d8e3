/*
 * Names by which senders call what a message is made of, best first: all that describes unknown JSON reads
 * these. Events and other programs' webhooks have usual names; of any other body the ends of its names say it.
 */

/** As they are written. */
export const USUAL = {
  titles: ["title", "subject", "headline", "summary"],
  texts: ["message", "text", "body", "description", "details", "detail", "msg", "reason", "error", "content"],
  names: ["name", "alertname", "check", "monitor", "task"],
  states: ["status", "state", "conclusion"],
  levels: ["severity", "level", "priority", "urgency"],
  links: [
    ...["link", "url", "html_url", "web_url", "permalink", "href", "compare", "target_url"],
    ...["dashboardURL", "generatorURL", "externalURL"],
  ],
  hosts: ["host", "hostname", "instance", "server", "node", "device", "machine"],
  services: ["service", "app", "application", "job", "repository", "project", "site", "namespace", "cluster"],
  senders: ["from", "sender", "author", "user", "pusher"],
  /** Who did something to a repository. */
  actors: ["sender", "pusher", "user", "actor"],
  actorNames: ["user_name", "user_username"],
  /** Objects of what a service of code did, and their results. */
  works: ["workflow_run", "workflow_job", "check_run", "check_suite", "deployment_status", "build"],
  outcomes: ["conclusion", "state", "status"],
  /** Of a thing that is an object. */
  ofThings: ["full_name", "path_with_namespace", "login", "username", "address", "name"],
  /** In which senders wrap the facts of an event, searched after the payload itself. */
  wrappers: ["labels", "annotations", "data", "object", "object_attributes", "body", "event", "alert", "incident"],
  /** Wrappers of the payload itself only. */
  outerWrappers: [
    ...["commonLabels", "commonAnnotations", "issue", "pull_request", "release", "tags"],
    ...["workflow_run", "workflow_job", "check_run"],
  ],
  /** Wrappers whose values become fields. */
  values: ["labels", "data", "tags", "commonLabels"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The ends of names in plain form: `MONITORNAME` and `check.name` are `monitorname` and `checkname`. */
export const ENDS = {
  /** Names of what a request is about, best first. */
  what: [
    /(?:title|subject|headline)$/,
    /(?:alert|check|monitor|rule|problem|incident|issue|test|job|task|trigger|condition|search|policy|sensor|probe|backup|pipeline|workflow|build|stage|alarm|detection|scenario|plan|metric|schedule)(?:rule|display|friendly)?name$/,
    /summary$/,
    /^(?:display|friendly|full)?name$/,
    /^(?:alert|check|monitor|rule|problem|incident|issue|test|job|task|trigger|condition|sensor|alarm|scenario|backup|pipeline|workflow)$/,
    /(?:service|application|app|host|node|device|resource|server|instance|component|target|site|project|entity|machine|product|cluster)(?:display|friendly)?name$/,
    /name$/,
  ],
  /** Names of kinds of events: they are what a request is about if nothing else says it. */
  kinds: [/(?:type|event|kind|category|action)$/],
  /** Names of people and of the sender's own things, which say nothing of what happened. */
  poor: /(?:organi[sz]ation|company|account|team|user|owner|creator|author|sender|contact|group|file|first|last|nick|tenant|customer|region|zone|timezone|class|field|column|label|tag|locale|integration|webhook|vendor|state|status|severity|level)(?:full)?(?:name|title)$/,
  /** Names of places, best first. */
  where: [
    /(?:host|hostname|hostaddress)$/,
    /(?:instance|server|node|device|machine|computer|vm|pod|container)(?:name)?$/,
    /(?:service|component|application|resource|target|entity|endpoint)(?:name)?$/,
    /(?:project|repository|site|cluster|namespace|environment|location)(?:name)?$/,
    /(?:ip|ipaddress|address)$/,
  ],
  states: /(?:status|state|statename|statusname|result|outcome|conclusion|transition|phase)$/,
  earlier: /^(?:previous|prev|old|last|former|from|was|before|initial)/,
  severities: /(?:severity|severityname|level|criticality|urgency|priority)$/,
  /** Names of what happened, best first. */
  reasons: [
    /(?:message|msg|text)$/,
    /(?:reason|cause)$/,
    /(?:error|errormsg|failure|exception|stderr|problem|issue)$/,
    /(?:description|details?|output|explanation|summary|body|content|comment|note|notes|information)$/,
  ],
  links: /(?:url|link|href|permalink|uri)$/,
  pictures: /(?:icon|avatar|image|logo|favicon|photo|picture|api|self|callback|unsubscribe|thumb)/,
  /** Objects that only hold the members. */
  holders: /(?:data|body|payload|attributes|fields|properties|details|context|content|params|object|item)$/,
  /** Names that need what they are in: `check.name`. */
  short: /^(?:name|title|status|state|type|result|url|link|message|reason|severity|level|host|value)$/,
} as const satisfies Readonly<Record<string, RegExp | readonly RegExp[]>>;
