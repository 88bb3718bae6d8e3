// A file of its own: the page's Content-Security-Policy allows no inline script.
const PLACEHOLDER = "Search operations, such as: webhook, rules:write, POST /events";

const texts = new Map();

/** All that an operation is found by: its texts, and the names of its schemas. */
function textOf(item) {
  const id = `${item.get("method")} ${item.get("path")}`;
  if (!texts.has(id)) {
    const operation = item.get("operation").toJS();
    const { summary = "", description = "", operationId = "", tags = [] } = operation;
    const schemas = JSON.stringify(operation).match(/(?<=components\/schemas\/)\w+/g) ?? [];
    texts.set(id, [id, summary, description, operationId, ...tags, ...schemas].join(" ").toLowerCase());
  }
  return texts.get(id);
}

/** The search finds operations by all words of the phrase. */
function findOperations(groups, phrase) {
  const words = phrase.toLowerCase().split(/\s+/);
  const isFound = (item) => words.every((word) => textOf(item).includes(word));
  return groups
    .map((group) => group.update("operations", (operations) => operations.filter(isFound)))
    .filter((group) => group.get("operations").size > 0);
}

/** Groups are closed until something is searched; the list of schemas is open. */
const isShown = (original, system) => (_state, path, fallback) => {
  const phrase = system.layoutSelectors.currentFilter();
  const isSearched = typeof phrase === "string" && phrase !== "" && path[0] === "operations-tag";
  return isSearched || original(path, fallback || path.join("/") === "components/schemas");
};

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  displayOperationId: window.innerWidth > 800,
  filter: true,
  validatorUrl: null,
  plugins: [{ fn: { opsFilter: findOperations }, statePlugins: { layout: { wrapSelectors: { isShown } } } }],
  onComplete() {
    const input = document.querySelector(".operation-filter-input");
    input.placeholder = PLACEHOLDER;
    input.setAttribute("aria-label", "Search operations");
  },
});
