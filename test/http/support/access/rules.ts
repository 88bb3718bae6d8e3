import { uuidv7 } from "../../../../src/core/ids.ts";
import { makeRule } from "./makers.ts";
import { type InProject, inShop, may } from "./refusals.ts";
import { at, inWorld, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const rule = ({ rule: id }: AccessWorld): string => `/api/v1/rules/${id}`;
const readRules = { from: "editor" } as const;
const writeRules: InProject = {
  from: "owner",
  hidden: "RULE_NOT_FOUND",
};

/**
 * Members of the shop without `rules:read` see no rule; those with it but without `rules:write` are
 * refused for that.
 */
const changeRule: Rule = (who) =>
  inShop({ ...readRules, hidden: "RULE_NOT_FOUND", refused: [404, "RULE_NOT_FOUND"] })(who) ?? inShop(writeRules)(who);
const seeRule = inShop({ ...readRules, hidden: "RULE_NOT_FOUND", refused: [404, "RULE_NOT_FOUND"] });

const CONDITION = "event.type == 'never'";
const NEW_RULE = { name: "r", condition: CONDITION, targetRoles: ["Admin"] };
/** Of another name each time: a project has one rule of a name. */
const newRule = (more: object) => ({
  path: "/api/v1/rules",
  body: { ...NEW_RULE, name: uuidv7(), active: false, ...more },
});

/** Contract 4.8. */
export const RULES: Table = {
  "GET /api/v1/rules": {
    refusal: inShop({ ...readRules, hidden: "PROJECT_NOT_FOUND" }),
    request: inWorld((world) => `/api/v1/rules?projectId=${world.shop}`),
  },
  "POST /api/v1/rules": [
    {
      refusal: inShop({ ...writeRules, hidden: "PROJECT_NOT_FOUND" }),
      request: (world) => newRule({ projectId: world.shop }),
    },
    {
      // For every project: the permission alone is not enough.
      refusal: (who) => may("rules:write")(who) ?? may("projects:all")(who),
      request: () => newRule({ projectId: null }),
    },
    {
      refusal: may("rules:write"),
      request: () => newRule({}),
    },
  ],
  "POST /api/v1/rules/import": [
    {
      refusal: inShop({ ...writeRules, hidden: "PROJECT_NOT_FOUND" }),
      request: (world) => ({
        path: "/api/v1/rules/import",
        body: { rules: [{ ...NEW_RULE, name: "imported", active: false, projectId: world.shop }], update: true },
      }),
    },
    {
      refusal: (who) => may("rules:write")(who) ?? may("projects:all")(who),
      request: at("/api/v1/rules/import", {
        rules: [{ ...NEW_RULE, name: "everywhere", active: false, projectId: null }],
        dryRun: true,
      }),
    },
    {
      refusal: may("rules:write"),
      request: at("/api/v1/rules/import", { rules: [{ ...NEW_RULE, name: "brought", active: false }], dryRun: true }),
    },
  ],
  "POST /api/v1/rules/test": {
    refusal: (who) =>
      who.kind === "user" && (who.member === "editor" || who.member === "owner") ? null : may("rules:read")(who),
    request: at("/api/v1/rules/test", { condition: CONDITION, event: { type: "a" } }),
  },
  "POST /api/v1/rules/backtest": {
    refusal: inShop({ ...readRules, hidden: "PROJECT_NOT_FOUND" }),
    request: (world) => ({ path: "/api/v1/rules/backtest", body: { condition: CONDITION, projectId: world.shop } }),
  },
  "GET /api/v1/rules/:id": { refusal: seeRule, request: inWorld(rule) },
  "GET /api/v1/rules/:id/versions": { refusal: seeRule, request: inWorld((world) => `${rule(world)}/versions`) },
  "POST /api/v1/rules/:id/versions/:version/restore": {
    refusal: changeRule,
    request: inWorld((world) => `${rule(world)}/versions/1/restore`),
  },
  "GET /api/v1/rules/:id/stats": { refusal: seeRule, request: inWorld((world) => `${rule(world)}/stats`) },
  "PUT /api/v1/rules/:id": { refusal: changeRule, request: inWorld(rule, { name: "again" }) },
  "PATCH /api/v1/rules/:id": { refusal: changeRule, request: inWorld(rule, { name: "again" }) },
  "DELETE /api/v1/rules/:id": {
    refusal: changeRule,
    request: async (world, _who, isServed) => ({
      path: isServed ? `/api/v1/rules/${await makeRule(world.prism, world.shop)}` : rule(world),
    }),
  },
};
