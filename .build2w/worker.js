"use strict";
(() => {
  var __getOwnPropNames = Object.getOwnPropertyNames;
  var __require = /* @__PURE__ */ ((x) => typeof require !== "undefined" ? require : typeof Proxy !== "undefined" ? new Proxy(x, {
    get: (a, b) => (typeof require !== "undefined" ? require : a)[b]
  }) : x)(function(x) {
    if (typeof require !== "undefined") return require.apply(this, arguments);
    throw Error('Dynamic require of "' + x + '" is not supported');
  });
  var __esm = (fn, res, err) => function __init() {
    if (err) throw err[0];
    try {
      return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
    } catch (e) {
      throw err = [e], e;
    }
  };
  var __commonJS = (cb, mod) => function __require2() {
    try {
      return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
    } catch (e) {
      throw mod = 0, e;
    }
  };

  // <define:DIGEST>
  var define_DIGEST_default;
  var init_define_DIGEST = __esm({
    "<define:DIGEST>"() {
      define_DIGEST_default = { "uws.node": "f4fa5d7b697529b45ac8aa3d57385d9af51bc1d2b26aa9f5b68ca4361542e665", "better_sqlite3.node": "f52b9ee1235123564b5a16e781605d0536b07ad1f8992025cc493fee6133e10b" };
    }
  });

  // src/prelude.cjs
  var require_prelude = __commonJS({
    "src/prelude.cjs"() {
      init_define_DIGEST();
      var sea = __require("node:sea");
      var fs = __require("node:fs");
      var os = __require("node:os");
      var path = __require("node:path");
      var vm = __require("node:vm");
      var loaded = /* @__PURE__ */ new Map();
      function native(name) {
        const known = loaded.get(name);
        if (known) return known.exports;
        const problems = [];
        for (const base of cacheFolders()) {
          try {
            const module2 = { exports: {} };
            process.dlopen(module2, unpack(name, path.join(base, "prism-native", define_DIGEST_default[name].slice(0, 16))));
            loaded.set(name, module2);
            return module2.exports;
          } catch (error) {
            problems.push(`${base}: ${error.message}`);
          }
        }
        throw new Error(
          `cannot unpack ${name}; set PRISM_CACHE_DIR to a folder that can be written and executed from
  ${problems.join("\n  ")}`
        );
      }
      function cacheFolders() {
        const own = process.getuid ? process.getuid() : 0;
        return [
          process.env.PRISM_CACHE_DIR,
          process.env.XDG_CACHE_HOME,
          process.env.HOME && path.join(process.env.HOME, ".cache"),
          path.join(os.tmpdir(), `prism-${own}`)
        ].filter((folder) => folder && path.isAbsolute(folder));
      }
      function unpack(name, folder) {
        const bytes = Buffer.from(sea.getRawAsset(name));
        const file = path.join(folder, name);
        fs.mkdirSync(folder, { recursive: true, mode: 448 });
        if (process.getuid && fs.statSync(folder).uid !== process.getuid())
          throw new Error(`${folder} belongs to another user`);
        if (!isSame(file, bytes)) {
          const aside = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
          fs.writeFileSync(aside, bytes, { mode: 448 });
          fs.renameSync(aside, file);
        }
        return file;
      }
      function isSame(file, bytes) {
        try {
          return fs.readFileSync(file).equals(bytes);
        } catch {
          return false;
        }
      }
      var importFile = vm.compileFunction("return import(url)", ["url"], {
        importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
      });
      var { emitWarning } = process;
      process.emitWarning = function(warning, ...rest) {
        if (String(warning?.message ?? warning).startsWith("vm.USE_MAIN_CONTEXT_DEFAULT_LOADER")) return;
        emitWarning.call(this, warning, ...rest);
      };
      globalThis.__packed = { asset: (name) => Buffer.from(sea.getRawAsset(name)), native, importFile };
    }
  });
  require_prelude();
})();

"use strict";
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __esm = (fn, res, err) => function __init() {
  if (err) throw err[0];
  try {
    return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
  } catch (e) {
    throw err = [e], e;
  }
};
var __commonJS = (cb, mod) => function __require() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e) {
    throw mod = 0, e;
  }
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target, "default", { value: mod, enumerable: true }) : target,
  mod
));

// <define:DIGEST>
var init_define_DIGEST = __esm({
  "<define:DIGEST>"() {
  }
});

// node_modules/better-sqlite3/lib/util.js
var require_util = __commonJS({
  "node_modules/better-sqlite3/lib/util.js"(exports2) {
    "use strict";
    init_define_DIGEST();
    exports2.getBooleanOption = (options, key) => {
      let value = false;
      if (key in options && typeof (value = options[key]) !== "boolean") {
        throw new TypeError(`Expected the "${key}" option to be a boolean`);
      }
      return value;
    };
    exports2.cppdb = /* @__PURE__ */ Symbol();
    exports2.inspect = /* @__PURE__ */ Symbol.for("nodejs.util.inspect.custom");
  }
});

// node_modules/better-sqlite3/lib/sqlite-error.js
var require_sqlite_error = __commonJS({
  "node_modules/better-sqlite3/lib/sqlite-error.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var descriptor = { value: "SqliteError", writable: true, enumerable: false, configurable: true };
    function SqliteError(message, code) {
      if (new.target !== SqliteError) {
        return new SqliteError(message, code);
      }
      if (typeof code !== "string") {
        throw new TypeError("Expected second argument to be a string");
      }
      Error.call(this, message);
      descriptor.value = "" + message;
      Object.defineProperty(this, "message", descriptor);
      Error.captureStackTrace(this, SqliteError);
      this.code = code;
    }
    Object.setPrototypeOf(SqliteError, Error);
    Object.setPrototypeOf(SqliteError.prototype, Error.prototype);
    Object.defineProperty(SqliteError.prototype, "name", descriptor);
    module2.exports = SqliteError;
  }
});

// packed:bindings
var require_bindings = __commonJS({
  "packed:bindings"(exports2, module2) {
    init_define_DIGEST();
    module2.exports = (name) => globalThis.__packed.native(name);
  }
});

// node_modules/better-sqlite3/lib/methods/wrappers.js
var require_wrappers = __commonJS({
  "node_modules/better-sqlite3/lib/methods/wrappers.js"(exports2) {
    "use strict";
    init_define_DIGEST();
    var { cppdb } = require_util();
    exports2.prepare = function prepare(sql) {
      return this[cppdb].prepare(sql, this, false);
    };
    exports2.exec = function exec(sql) {
      this[cppdb].exec(sql);
      return this;
    };
    exports2.close = function close() {
      this[cppdb].close();
      return this;
    };
    exports2.loadExtension = function loadExtension(...args) {
      this[cppdb].loadExtension(...args);
      return this;
    };
    exports2.defaultSafeIntegers = function defaultSafeIntegers(...args) {
      this[cppdb].defaultSafeIntegers(...args);
      return this;
    };
    exports2.unsafeMode = function unsafeMode(...args) {
      this[cppdb].unsafeMode(...args);
      return this;
    };
    exports2.getters = {
      name: {
        get: function name() {
          return this[cppdb].name;
        },
        enumerable: true
      },
      open: {
        get: function open() {
          return this[cppdb].open;
        },
        enumerable: true
      },
      inTransaction: {
        get: function inTransaction() {
          return this[cppdb].inTransaction;
        },
        enumerable: true
      },
      readonly: {
        get: function readonly() {
          return this[cppdb].readonly;
        },
        enumerable: true
      },
      memory: {
        get: function memory() {
          return this[cppdb].memory;
        },
        enumerable: true
      }
    };
  }
});

// node_modules/better-sqlite3/lib/methods/transaction.js
var require_transaction = __commonJS({
  "node_modules/better-sqlite3/lib/methods/transaction.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { cppdb } = require_util();
    var controllers = /* @__PURE__ */ new WeakMap();
    module2.exports = function transaction(fn) {
      if (typeof fn !== "function") throw new TypeError("Expected first argument to be a function");
      const db = this[cppdb];
      const controller = getController(db, this);
      const { apply } = Function.prototype;
      const properties = {
        default: { value: wrapTransaction(apply, fn, db, controller.default) },
        deferred: { value: wrapTransaction(apply, fn, db, controller.deferred) },
        immediate: { value: wrapTransaction(apply, fn, db, controller.immediate) },
        exclusive: { value: wrapTransaction(apply, fn, db, controller.exclusive) },
        database: { value: this, enumerable: true }
      };
      Object.defineProperties(properties.default.value, properties);
      Object.defineProperties(properties.deferred.value, properties);
      Object.defineProperties(properties.immediate.value, properties);
      Object.defineProperties(properties.exclusive.value, properties);
      return properties.default.value;
    };
    var getController = (db, self) => {
      let controller = controllers.get(db);
      if (!controller) {
        const shared = {
          commit: db.prepare("COMMIT", self, false),
          rollback: db.prepare("ROLLBACK", self, false),
          savepoint: db.prepare("SAVEPOINT `	_bs3.	`", self, false),
          release: db.prepare("RELEASE `	_bs3.	`", self, false),
          rollbackTo: db.prepare("ROLLBACK TO `	_bs3.	`", self, false)
        };
        controllers.set(db, controller = {
          default: Object.assign({ begin: db.prepare("BEGIN", self, false) }, shared),
          deferred: Object.assign({ begin: db.prepare("BEGIN DEFERRED", self, false) }, shared),
          immediate: Object.assign({ begin: db.prepare("BEGIN IMMEDIATE", self, false) }, shared),
          exclusive: Object.assign({ begin: db.prepare("BEGIN EXCLUSIVE", self, false) }, shared)
        });
      }
      return controller;
    };
    var wrapTransaction = (apply, fn, db, { begin, commit, rollback, savepoint, release, rollbackTo }) => function sqliteTransaction() {
      let before, after, undo;
      if (db.inTransaction) {
        before = savepoint;
        after = release;
        undo = rollbackTo;
      } else {
        before = begin;
        after = commit;
        undo = rollback;
      }
      before.run();
      try {
        const result = apply.call(fn, this, arguments);
        if (result && typeof result.then === "function") {
          throw new TypeError("Transaction function cannot return a promise");
        }
        after.run();
        return result;
      } catch (ex) {
        if (db.inTransaction) {
          undo.run();
          if (undo !== rollback) after.run();
        }
        throw ex;
      }
    };
  }
});

// node_modules/better-sqlite3/lib/methods/pragma.js
var require_pragma = __commonJS({
  "node_modules/better-sqlite3/lib/methods/pragma.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { getBooleanOption, cppdb } = require_util();
    module2.exports = function pragma(source, options) {
      if (options == null) options = {};
      if (typeof source !== "string") throw new TypeError("Expected first argument to be a string");
      if (typeof options !== "object") throw new TypeError("Expected second argument to be an options object");
      const simple = getBooleanOption(options, "simple");
      const stmt = this[cppdb].prepare(`PRAGMA ${source}`, this, true);
      return simple ? stmt.pluck().get() : stmt.all();
    };
  }
});

// node_modules/better-sqlite3/lib/methods/backup.js
var require_backup = __commonJS({
  "node_modules/better-sqlite3/lib/methods/backup.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var fs = require("fs");
    var path = require("path");
    var { promisify } = require("util");
    var { cppdb } = require_util();
    var fsAccess = promisify(fs.access);
    module2.exports = async function backup(filename, options) {
      if (options == null) options = {};
      if (typeof filename !== "string") throw new TypeError("Expected first argument to be a string");
      if (typeof options !== "object") throw new TypeError("Expected second argument to be an options object");
      filename = filename.trim();
      const attachedName = "attached" in options ? options.attached : "main";
      const handler = "progress" in options ? options.progress : null;
      if (!filename) throw new TypeError("Backup filename cannot be an empty string");
      if (filename === ":memory:") throw new TypeError('Invalid backup filename ":memory:"');
      if (typeof attachedName !== "string") throw new TypeError('Expected the "attached" option to be a string');
      if (!attachedName) throw new TypeError('The "attached" option cannot be an empty string');
      if (handler != null && typeof handler !== "function") throw new TypeError('Expected the "progress" option to be a function');
      await fsAccess(path.dirname(filename)).catch(() => {
        throw new TypeError("Cannot save backup because the directory does not exist");
      });
      const isNewFile = await fsAccess(filename).then(() => false, () => true);
      return runBackup(this[cppdb].backup(this, attachedName, filename, isNewFile), handler || null);
    };
    var runBackup = (backup, handler) => {
      let rate = 0;
      let useDefault = true;
      return new Promise((resolve, reject) => {
        setImmediate(function step() {
          try {
            const progress = backup.transfer(rate);
            if (!progress.remainingPages) {
              backup.close();
              resolve(progress);
              return;
            }
            if (useDefault) {
              useDefault = false;
              rate = 100;
            }
            if (handler) {
              const ret = handler(progress);
              if (ret !== void 0) {
                if (typeof ret === "number" && ret === ret) rate = Math.max(0, Math.min(2147483647, Math.round(ret)));
                else throw new TypeError("Expected progress callback to return a number or undefined");
              }
            }
            setImmediate(step);
          } catch (err) {
            backup.close();
            reject(err);
          }
        });
      });
    };
  }
});

// node_modules/better-sqlite3/lib/methods/serialize.js
var require_serialize = __commonJS({
  "node_modules/better-sqlite3/lib/methods/serialize.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { cppdb } = require_util();
    module2.exports = function serialize(options) {
      if (options == null) options = {};
      if (typeof options !== "object") throw new TypeError("Expected first argument to be an options object");
      const attachedName = "attached" in options ? options.attached : "main";
      if (typeof attachedName !== "string") throw new TypeError('Expected the "attached" option to be a string');
      if (!attachedName) throw new TypeError('The "attached" option cannot be an empty string');
      return this[cppdb].serialize(attachedName);
    };
  }
});

// node_modules/better-sqlite3/lib/methods/function.js
var require_function = __commonJS({
  "node_modules/better-sqlite3/lib/methods/function.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { getBooleanOption, cppdb } = require_util();
    module2.exports = function defineFunction(name, options, fn) {
      if (options == null) options = {};
      if (typeof options === "function") {
        fn = options;
        options = {};
      }
      if (typeof name !== "string") throw new TypeError("Expected first argument to be a string");
      if (typeof fn !== "function") throw new TypeError("Expected last argument to be a function");
      if (typeof options !== "object") throw new TypeError("Expected second argument to be an options object");
      if (!name) throw new TypeError("User-defined function name cannot be an empty string");
      const safeIntegers = "safeIntegers" in options ? +getBooleanOption(options, "safeIntegers") : 2;
      const deterministic = getBooleanOption(options, "deterministic");
      const directOnly = getBooleanOption(options, "directOnly");
      const varargs = getBooleanOption(options, "varargs");
      let argCount = -1;
      if (!varargs) {
        argCount = fn.length;
        if (!Number.isInteger(argCount) || argCount < 0) throw new TypeError("Expected function.length to be a positive integer");
        if (argCount > 100) throw new RangeError("User-defined functions cannot have more than 100 arguments");
      }
      this[cppdb].function(fn, name, argCount, safeIntegers, deterministic, directOnly);
      return this;
    };
  }
});

// node_modules/better-sqlite3/lib/methods/aggregate.js
var require_aggregate = __commonJS({
  "node_modules/better-sqlite3/lib/methods/aggregate.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { getBooleanOption, cppdb } = require_util();
    module2.exports = function defineAggregate(name, options) {
      if (typeof name !== "string") throw new TypeError("Expected first argument to be a string");
      if (typeof options !== "object" || options === null) throw new TypeError("Expected second argument to be an options object");
      if (!name) throw new TypeError("User-defined function name cannot be an empty string");
      const start = "start" in options ? options.start : null;
      const step = getFunctionOption(options, "step", true);
      const inverse = getFunctionOption(options, "inverse", false);
      const result = getFunctionOption(options, "result", false);
      const safeIntegers = "safeIntegers" in options ? +getBooleanOption(options, "safeIntegers") : 2;
      const deterministic = getBooleanOption(options, "deterministic");
      const directOnly = getBooleanOption(options, "directOnly");
      const varargs = getBooleanOption(options, "varargs");
      let argCount = -1;
      if (!varargs) {
        argCount = Math.max(getLength(step), inverse ? getLength(inverse) : 0);
        if (argCount > 0) argCount -= 1;
        if (argCount > 100) throw new RangeError("User-defined functions cannot have more than 100 arguments");
      }
      this[cppdb].aggregate(start, step, inverse, result, name, argCount, safeIntegers, deterministic, directOnly);
      return this;
    };
    var getFunctionOption = (options, key, required) => {
      const value = key in options ? options[key] : null;
      if (typeof value === "function") return value;
      if (value != null) throw new TypeError(`Expected the "${key}" option to be a function`);
      if (required) throw new TypeError(`Missing required option "${key}"`);
      return null;
    };
    var getLength = ({ length }) => {
      if (Number.isInteger(length) && length >= 0) return length;
      throw new TypeError("Expected function.length to be a positive integer");
    };
  }
});

// node_modules/better-sqlite3/lib/methods/table.js
var require_table = __commonJS({
  "node_modules/better-sqlite3/lib/methods/table.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var { cppdb } = require_util();
    module2.exports = function defineTable(name, factory) {
      if (typeof name !== "string") throw new TypeError("Expected first argument to be a string");
      if (!name) throw new TypeError("Virtual table module name cannot be an empty string");
      let eponymous = false;
      if (typeof factory === "object" && factory !== null) {
        eponymous = true;
        factory = defer(parseTableDefinition(factory, "used", name));
      } else {
        if (typeof factory !== "function") throw new TypeError("Expected second argument to be a function or a table definition object");
        factory = wrapFactory(factory);
      }
      this[cppdb].table(factory, name, eponymous);
      return this;
    };
    function wrapFactory(factory) {
      return function virtualTableFactory(moduleName, databaseName, tableName, ...args) {
        const thisObject = {
          module: moduleName,
          database: databaseName,
          table: tableName
        };
        const def = apply.call(factory, thisObject, args);
        if (typeof def !== "object" || def === null) {
          throw new TypeError(`Virtual table module "${moduleName}" did not return a table definition object`);
        }
        return parseTableDefinition(def, "returned", moduleName);
      };
    }
    function parseTableDefinition(def, verb, moduleName) {
      if (!hasOwnProperty.call(def, "rows")) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition without a "rows" property`);
      }
      if (!hasOwnProperty.call(def, "columns")) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition without a "columns" property`);
      }
      const rows = def.rows;
      if (typeof rows !== "function" || Object.getPrototypeOf(rows) !== GeneratorFunctionPrototype) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with an invalid "rows" property (should be a generator function)`);
      }
      let columns = def.columns;
      if (!Array.isArray(columns) || !(columns = [...columns]).every((x) => typeof x === "string")) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with an invalid "columns" property (should be an array of strings)`);
      }
      if (columns.length !== new Set(columns).size) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with duplicate column names`);
      }
      if (!columns.length) {
        throw new RangeError(`Virtual table module "${moduleName}" ${verb} a table definition with zero columns`);
      }
      let parameters;
      if (hasOwnProperty.call(def, "parameters")) {
        parameters = def.parameters;
        if (!Array.isArray(parameters) || !(parameters = [...parameters]).every((x) => typeof x === "string")) {
          throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with an invalid "parameters" property (should be an array of strings)`);
        }
      } else {
        parameters = inferParameters(rows);
      }
      if (parameters.length !== new Set(parameters).size) {
        throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with duplicate parameter names`);
      }
      if (parameters.length > 32) {
        throw new RangeError(`Virtual table module "${moduleName}" ${verb} a table definition with more than the maximum number of 32 parameters`);
      }
      for (const parameter of parameters) {
        if (columns.includes(parameter)) {
          throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with column "${parameter}" which was ambiguously defined as both a column and parameter`);
        }
      }
      let safeIntegers = 2;
      if (hasOwnProperty.call(def, "safeIntegers")) {
        const bool = def.safeIntegers;
        if (typeof bool !== "boolean") {
          throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with an invalid "safeIntegers" property (should be a boolean)`);
        }
        safeIntegers = +bool;
      }
      let directOnly = false;
      if (hasOwnProperty.call(def, "directOnly")) {
        directOnly = def.directOnly;
        if (typeof directOnly !== "boolean") {
          throw new TypeError(`Virtual table module "${moduleName}" ${verb} a table definition with an invalid "directOnly" property (should be a boolean)`);
        }
      }
      const columnDefinitions = [
        ...parameters.map(identifier).map((str) => `${str} HIDDEN`),
        ...columns.map(identifier)
      ];
      return [
        `CREATE TABLE x(${columnDefinitions.join(", ")});`,
        wrapGenerator(rows, new Map(columns.map((x, i) => [x, parameters.length + i])), moduleName),
        parameters,
        safeIntegers,
        directOnly
      ];
    }
    function wrapGenerator(generator, columnMap, moduleName) {
      return function* virtualTable(...args) {
        const output = args.map((x) => Buffer.isBuffer(x) ? Buffer.from(x) : x);
        for (let i = 0; i < columnMap.size; ++i) {
          output.push(null);
        }
        for (const row of generator(...args)) {
          if (Array.isArray(row)) {
            extractRowArray(row, output, columnMap.size, moduleName);
            yield output;
          } else if (typeof row === "object" && row !== null) {
            extractRowObject(row, output, columnMap, moduleName);
            yield output;
          } else {
            throw new TypeError(`Virtual table module "${moduleName}" yielded something that isn't a valid row object`);
          }
        }
      };
    }
    function extractRowArray(row, output, columnCount, moduleName) {
      if (row.length !== columnCount) {
        throw new TypeError(`Virtual table module "${moduleName}" yielded a row with an incorrect number of columns`);
      }
      const offset = output.length - columnCount;
      for (let i = 0; i < columnCount; ++i) {
        output[i + offset] = row[i];
      }
    }
    function extractRowObject(row, output, columnMap, moduleName) {
      let count = 0;
      for (const key of Object.keys(row)) {
        const index = columnMap.get(key);
        if (index === void 0) {
          throw new TypeError(`Virtual table module "${moduleName}" yielded a row with an undeclared column "${key}"`);
        }
        output[index] = row[key];
        count += 1;
      }
      if (count !== columnMap.size) {
        throw new TypeError(`Virtual table module "${moduleName}" yielded a row with missing columns`);
      }
    }
    function inferParameters({ length }) {
      if (!Number.isInteger(length) || length < 0) {
        throw new TypeError("Expected function.length to be a positive integer");
      }
      const params = [];
      for (let i = 0; i < length; ++i) {
        params.push(`$${i + 1}`);
      }
      return params;
    }
    var { hasOwnProperty } = Object.prototype;
    var { apply } = Function.prototype;
    var GeneratorFunctionPrototype = Object.getPrototypeOf(function* () {
    });
    var identifier = (str) => `"${str.replace(/"/g, '""')}"`;
    var defer = (x) => () => x;
  }
});

// node_modules/better-sqlite3/lib/methods/inspect.js
var require_inspect = __commonJS({
  "node_modules/better-sqlite3/lib/methods/inspect.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var DatabaseInspection = function Database() {
    };
    module2.exports = function inspect(depth, opts) {
      return Object.assign(new DatabaseInspection(), this);
    };
  }
});

// node_modules/better-sqlite3/lib/database.js
var require_database = __commonJS({
  "node_modules/better-sqlite3/lib/database.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    var fs = require("fs");
    var path = require("path");
    var util = require_util();
    var SqliteError = require_sqlite_error();
    var DEFAULT_ADDON;
    function Database(filenameGiven, options) {
      if (new.target == null) {
        return new Database(filenameGiven, options);
      }
      let buffer;
      if (Buffer.isBuffer(filenameGiven)) {
        buffer = filenameGiven;
        filenameGiven = ":memory:";
      }
      if (filenameGiven == null) filenameGiven = "";
      if (options == null) options = {};
      if (typeof filenameGiven !== "string") throw new TypeError("Expected first argument to be a string");
      if (typeof options !== "object") throw new TypeError("Expected second argument to be an options object");
      if ("readOnly" in options) throw new TypeError('Misspelled option "readOnly" should be "readonly"');
      if ("memory" in options) throw new TypeError('Option "memory" was removed in v7.0.0 (use ":memory:" filename instead)');
      const filename = filenameGiven.trim();
      const anonymous = filename === "" || filename === ":memory:";
      const readonly = util.getBooleanOption(options, "readonly");
      const fileMustExist = util.getBooleanOption(options, "fileMustExist");
      const timeout = "timeout" in options ? options.timeout : 5e3;
      const verbose = "verbose" in options ? options.verbose : null;
      const nativeBinding = "nativeBinding" in options ? options.nativeBinding : null;
      if (readonly && anonymous && !buffer) throw new TypeError("In-memory/temporary databases cannot be readonly");
      if (!Number.isInteger(timeout) || timeout < 0) throw new TypeError('Expected the "timeout" option to be a positive integer');
      if (timeout > 2147483647) throw new RangeError('Option "timeout" cannot be greater than 2147483647');
      if (verbose != null && typeof verbose !== "function") throw new TypeError('Expected the "verbose" option to be a function');
      if (nativeBinding != null && typeof nativeBinding !== "string" && typeof nativeBinding !== "object") throw new TypeError('Expected the "nativeBinding" option to be a string or addon object');
      let addon;
      if (nativeBinding == null) {
        addon = DEFAULT_ADDON || (DEFAULT_ADDON = require_bindings()("better_sqlite3.node"));
      } else if (typeof nativeBinding === "string") {
        const requireFunc = typeof __non_webpack_require__ === "function" ? __non_webpack_require__ : require;
        addon = requireFunc(path.resolve(nativeBinding).replace(/(\.node)?$/, ".node"));
      } else {
        addon = nativeBinding;
      }
      if (!addon.isInitialized) {
        addon.setErrorConstructor(SqliteError);
        addon.isInitialized = true;
      }
      if (!anonymous && !filename.startsWith("file:") && !fs.existsSync(path.dirname(filename))) {
        throw new TypeError("Cannot open database because the directory does not exist");
      }
      Object.defineProperties(this, {
        [util.cppdb]: { value: new addon.Database(filename, filenameGiven, anonymous, readonly, fileMustExist, timeout, verbose || null, buffer || null) },
        ...wrappers.getters
      });
    }
    var wrappers = require_wrappers();
    Database.prototype.prepare = wrappers.prepare;
    Database.prototype.transaction = require_transaction();
    Database.prototype.pragma = require_pragma();
    Database.prototype.backup = require_backup();
    Database.prototype.serialize = require_serialize();
    Database.prototype.function = require_function();
    Database.prototype.aggregate = require_aggregate();
    Database.prototype.table = require_table();
    Database.prototype.loadExtension = wrappers.loadExtension;
    Database.prototype.exec = wrappers.exec;
    Database.prototype.close = wrappers.close;
    Database.prototype.defaultSafeIntegers = wrappers.defaultSafeIntegers;
    Database.prototype.unsafeMode = wrappers.unsafeMode;
    Database.prototype[util.inspect] = require_inspect();
    module2.exports = Database;
  }
});

// node_modules/better-sqlite3/lib/index.js
var require_lib = __commonJS({
  "node_modules/better-sqlite3/lib/index.js"(exports2, module2) {
    "use strict";
    init_define_DIGEST();
    module2.exports = require_database();
    module2.exports.SqliteError = require_sqlite_error();
  }
});

// src/worker.ts
init_define_DIGEST();
var import_node_worker_threads3 = require("node:worker_threads");

// src/store/scan-thread.ts
init_define_DIGEST();
var import_node_worker_threads = require("node:worker_threads");

// src/store/connection.ts
init_define_DIGEST();
var import_better_sqlite3 = __toESM(require_lib(), 1);
function openForWriting({ file, busyTimeoutMs, maxBytes }) {
  const connection = new import_better_sqlite3.default(file, { timeout: busyTimeoutMs });
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL");
  connection.pragma("foreign_keys = ON");
  connection.pragma("recursive_triggers = ON");
  connection.pragma("trusted_schema = OFF");
  connection.pragma("temp_store = MEMORY");
  if (maxBytes !== void 0) {
    const pageBytes = Number(connection.pragma("page_size", { simple: true }));
    connection.pragma(`max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
  }
  return connection;
}
function openForReading(file) {
  const connection = new import_better_sqlite3.default(file, { readonly: true, fileMustExist: true, timeout: 1e3 });
  connection.pragma("trusted_schema = OFF");
  connection.pragma("temp_store = MEMORY");
  return connection;
}

// src/store/statement-cache.ts
init_define_DIGEST();
var MAX_STATEMENTS = 500;
var StatementCache = class {
  #connection;
  #statements = /* @__PURE__ */ new Map();
  constructor(connection) {
    this.#connection = connection;
  }
  get(sql) {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= MAX_STATEMENTS) {
        const oldest = this.#statements.keys().next();
        if (!oldest.done) this.#statements.delete(oldest.value);
      }
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
  /** Runs any statement. `rows` is empty for those that return none. */
  run(sql, parameters) {
    const statement = this.get(sql);
    if (statement.reader) return { rows: statement.all(...parameters), changes: 0 };
    return { rows: [], changes: statement.run(...parameters).changes };
  }
};

// src/store/scan-thread.ts
function runScanThread({ file }) {
  const port = import_node_worker_threads.parentPort;
  if (!port) throw new TypeError("scans run in a thread of their own");
  const statements = new StatementCache(openForReading(file));
  port.on("message", ({ id, sql, parameters }) => {
    let reply;
    try {
      reply = { id, ok: true, rows: statements.run(sql, parameters).rows };
    } catch (error) {
      reply = { id, ok: false, message: error instanceof Error ? error.message : String(error) };
    }
    port.postMessage(reply);
  });
}

// src/store/writer-thread.ts
init_define_DIGEST();
var import_node_worker_threads2 = require("node:worker_threads");

// src/store/sqlite-errors.ts
init_define_DIGEST();

// src/base/errors.ts
init_define_DIGEST();
function assertNever(value) {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`);
}

// src/store/sqlite-errors.ts
function failureOf(error) {
  const code = sqliteCode(error);
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_WRITE" || /ENOSPC/.test(code)) return "full";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) return "busy";
  if (code.startsWith("SQLITE_READONLY") || code.startsWith("SQLITE_CANTOPEN") || code === "SQLITE_PERM")
    return "readonly";
  return "internal";
}
function sqliteCode(error) {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

// src/store/writing-connection.ts
init_define_DIGEST();

// src/store/apply-write-set.ts
init_define_DIGEST();

// src/store/job-statements.ts
init_define_DIGEST();
var JobStatements = class {
  #sql;
  constructor(connection) {
    this.#sql = prepareAll(connection);
  }
  apply(work) {
    for (const finish of work.finish) this.#finish(finish);
    for (const job of work.insert) this.insert(job);
    if (work.promoteDueAt !== null) this.#sql.promote.run(work.promoteDueAt);
    return work.claim.flatMap((claim) => this.#claim(claim));
  }
  /** A job whose dedupe key is held by an unfinished job of its queue is not inserted: the earlier one stands for both. */
  insert(job) {
    this.#sql.insert.run(
      job.id,
      job.queue,
      job.kind,
      job.payload,
      job.state,
      job.priority,
      job.runAt,
      job.maxAttempts,
      job.backoff,
      job.dedupeKey,
      job.label,
      job.module,
      job.createdBy,
      job.correlationId,
      job.createdAt
    );
  }
  #claim({ queue, limit, workerId, now, oldestFirst }) {
    const statement = oldestFirst ? this.#sql.claimOldest : this.#sql.claim;
    return statement.all(workerId, now, queue, limit);
  }
  #finish(finish) {
    const { id, fence, attempt, startedAt, now, workerId } = finish;
    switch (finish.outcome) {
      case "succeeded":
        this.#sql.succeed.run(now, finish.result, id, fence);
        return;
      case "returned":
        this.#sql.giveBack.run(id, fence);
        return;
      case "retrying":
        if (this.#sql.retry.run(finish.runAt, finish.error, id, fence).changes === 0) return;
        break;
      case "dead":
        if (this.#sql.bury.run(now, finish.error, id, fence).changes === 0) return;
        break;
      default:
        assertNever(finish);
    }
    this.#sql.attempt.run(id, attempt, startedAt, now, finish.outcome, finish.error, workerId);
  }
};
var CLAIM = (order) => `
  update jobs set state = 'running', workerId = ?, fence = fence + 1, attempts = attempts + 1, startedAt = ?
  where seq in (select seq from jobs where queue = ? and state = 'ready' order by ${order} limit ?)
  returning seq, id, queue, kind, payload, attempts, maxAttempts, backoff, fence, runAt, startedAt, label, createdBy, correlationId`;
var CLAIM_BY_PRIORITY = CLAIM("priority desc, runAt, seq");
var CLAIM_BY_AGE = CLAIM("seq");
function prepareAll(connection) {
  const prepare = (text) => connection.prepare(text);
  return {
    insert: prepare(
      `insert into jobs (id, queue, kind, payload, state, priority, runAt, maxAttempts, backoff, dedupeKey, label, module, createdBy,
       correlationId, createdAt) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (queue, dedupeKey) where dedupeKey is not null and finishedAt is null do nothing`
    ),
    promote: prepare("update jobs set state = 'ready' where state in ('scheduled', 'retrying') and runAt <= ?"),
    claim: connection.prepare(CLAIM_BY_PRIORITY),
    claimOldest: connection.prepare(CLAIM_BY_AGE),
    succeed: prepare(
      `update jobs set state = 'succeeded', finishedAt = ?, result = ?, lastError = null
       where id = ? and state = 'running' and fence = ?`
    ),
    retry: prepare(
      "update jobs set state = 'retrying', runAt = ?, lastError = ? where id = ? and state = 'running' and fence = ?"
    ),
    bury: prepare(
      "update jobs set state = 'dead', finishedAt = ?, lastError = ? where id = ? and state = 'running' and fence = ?"
    ),
    giveBack: prepare(
      `update jobs set state = 'ready', attempts = attempts - 1, workerId = null
       where id = ? and state = 'running' and fence = ?`
    ),
    attempt: prepare(
      `insert into job_attempts (jobId, attempt, startedAt, endedAt, outcome, error, worker) values (?, ?, ?, ?, ?, ?, ?)
       on conflict (jobId, attempt) do nothing`
    )
  };
}

// src/store/apply-write-set.ts
var WriteSetApplier = class {
  #connection;
  #audit;
  #jobs;
  #sql;
  constructor(connection, audit) {
    this.#connection = connection;
    this.#audit = audit;
    this.#jobs = new JobStatements(connection);
    this.#sql = prepareAll2(connection);
  }
  apply(set) {
    const sql = this.#sql;
    this.storeSequenceEnds(set.sequenceEnds);
    this.#insertEvents(set.events);
    if (set.processed) for (const seq of set.processed.seqs) sql.markProcessed.run(set.processed.at, seq);
    const failedEffects = [];
    for (let i = 0; i < set.effects.length; i++) {
      if (!this.#applyInSavepoint(set.effects[i])) failedEffects.push(i);
    }
    for (const sum of set.ruleStats) {
      sql.ruleStats.run(
        sum.ruleId,
        sum.matched,
        sum.fired,
        sum.noRecipients,
        sum.errors,
        sum.lastMatchedAt,
        sum.lastError
      );
    }
    for (const row of set.idempotency) {
      sql.idempotency.run(row.scope, row.key, row.fingerprint, row.status, row.response, row.createdAt, row.expiresAt);
    }
    for (const mark of set.delivered) {
      const changed = sql.markDelivered.get(mark.at, mark.userId, mark.seq);
      if (changed) sql.markNotificationDelivered.run(mark.at, changed.notificationId);
    }
    const claimed = set.jobs ? this.#jobs.apply(set.jobs) : [];
    this.#audit.append(set.audit);
    return { failedEffects, claimed };
  }
  storeSequenceEnds(ends) {
    for (const { name, end } of ends) this.#sql.sequenceEnd.run(name, end, Date.now());
  }
  #insertEvents(events) {
    const insert = this.#sql.event;
    for (let i = 0; i < events.seq.length; i++) {
      insert.run(
        events.seq[i],
        events.id[i],
        events.projectId[i],
        events.type[i],
        events.level[i],
        events.source[i],
        events.payload[i],
        events.dedupeKey[i],
        events.occurredAt[i],
        events.receivedAt[i],
        events.processedAt[i],
        events.correlationId[i]
      );
    }
  }
  /** @returns false when SQL refused the effects and `otherwise` stands in their place. */
  #applyInSavepoint(effects) {
    const sql = this.#sql;
    if (effects.poison !== null) {
      this.#applyOtherwise(effects, effects.poison);
      return true;
    }
    sql.savepoint.run();
    try {
      this.#applyEffects(effects);
      sql.release.run();
      return true;
    } catch (error) {
      if (!this.#connection.inTransaction || failureOf(error) !== "internal") throw error;
      sql.rollbackTo.run();
      sql.release.run();
      this.#applyOtherwise(effects, error instanceof Error ? error.message : String(error));
      return false;
    }
  }
  #applyOtherwise({ eventSeq, otherwise }, error) {
    const { failure, job } = otherwise;
    this.#sql.clearProcessed.run(eventSeq);
    this.#sql.failure.run(
      failure.consumer,
      failure.eventSeq,
      failure.attempts,
      error,
      failure.jobId,
      failure.createdAt
    );
    this.#jobs.insert(job);
  }
  #applyEffects(effects) {
    const sql = this.#sql;
    if (effects.processedAt !== null) sql.markProcessed.run(effects.processedAt, effects.eventSeq);
    for (const row of effects.decisions) {
      sql.decision.run(row.eventSeq, row.ruleId, row.ruleVersion, row.outcome, row.notificationId, row.at);
    }
    for (const row of effects.notifications) {
      sql.notification.run(
        row.id,
        row.ruleId,
        row.eventId,
        row.projectId,
        row.kind,
        row.title,
        row.message,
        row.sound,
        row.action,
        row.data,
        row.priority,
        row.correlationId,
        row.createdAt
      );
    }
    for (const row of effects.recipients) sql.recipient.run(row.notificationId, row.userId, row.seq);
    for (const job of effects.jobs) this.#jobs.insert(job);
    if (effects.resolves) sql.resolveFailure.run(effects.resolves.at, effects.resolves.consumer, effects.eventSeq);
  }
};
function prepareAll2(connection) {
  const prepare = (text) => connection.prepare(text);
  return {
    savepoint: prepare("savepoint effects"),
    release: prepare("release effects"),
    rollbackTo: prepare("rollback to effects"),
    event: prepare(
      `insert into events (seq, id, projectId, type, level, source, payload, dedupeKey, occurredAt, receivedAt, processedAt, correlationId)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
    ),
    markProcessed: prepare("update events set processedAt = ? where seq = ? and processedAt is null"),
    clearProcessed: prepare("update events set processedAt = null where seq = ?"),
    // A reprocessed event may meet a rule again that had nobody to tell: only that outcome gives way.
    decision: prepare(
      `insert into decisions (eventSeq, ruleId, ruleVersion, outcome, notificationId, at) values (?, ?, ?, ?, ?, ?)
       on conflict (eventSeq, ruleId) do update set ruleVersion = excluded.ruleVersion, outcome = excluded.outcome,
       notificationId = excluded.notificationId, at = excluded.at where outcome = 'no recipients'`
    ),
    notification: prepare(
      `insert into notifications (id, ruleId, eventId, projectId, kind, title, message, sound, action, data, priority, correlationId, createdAt)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
    ),
    recipient: prepare("insert into notification_recipients (notificationId, userId, seq) values (?, ?, ?)"),
    failure: prepare(
      `insert into event_failures (consumer, eventSeq, attempts, lastError, jobId, createdAt) values (?, ?, ?, ?, ?, ?)
       on conflict (consumer, eventSeq) do update set attempts = attempts + 1, lastError = excluded.lastError, jobId = excluded.jobId,
       resolvedAt = null`
    ),
    resolveFailure: prepare(
      "update event_failures set resolvedAt = ? where consumer = ? and eventSeq = ? and resolvedAt is null"
    ),
    ruleStats: prepare(
      `insert into rule_stats (ruleId, matched, fired, noRecipients, errors, lastMatchedAt, lastError) values (?, ?, ?, ?, ?, ?, ?)
       on conflict (ruleId) do update set matched = matched + excluded.matched, fired = fired + excluded.fired,
       noRecipients = noRecipients + excluded.noRecipients, errors = errors + excluded.errors,
       lastMatchedAt = coalesce(excluded.lastMatchedAt, lastMatchedAt), lastError = coalesce(excluded.lastError, lastError)`
    ),
    idempotency: prepare(
      `insert into idempotency_keys (scope, key, fingerprint, status, response, createdAt, expiresAt) values (?, ?, ?, ?, ?, ?, ?)
       on conflict (scope, key) do update set fingerprint = excluded.fingerprint, status = excluded.status,
       response = excluded.response, createdAt = excluded.createdAt, expiresAt = excluded.expiresAt`
    ),
    markDelivered: connection.prepare(
      `update notification_recipients set delivered = 1, deliveredAt = ? where userId = ? and seq = ? and delivered = 0
       returning notificationId`
    ),
    markNotificationDelivered: prepare(
      `update notifications set delivered = 1, deliveredAt = ?1 where id = ?2 and delivered = 0 and not exists
       (select 1 from notification_recipients where notificationId = ?2 and delivered = 0)`
    ),
    sequenceEnd: prepare(
      `insert into settings (key, value, updatedAt) values ('sequence.' || ?, ?, ?)
       on conflict (key) do update set value = max(value, excluded.value), updatedAt = excluded.updatedAt`
    )
  };
}

// src/store/audit-chain.ts
init_define_DIGEST();
var import_node_crypto = require("node:crypto");
var GENESIS_HASH = "0".repeat(64);
function auditHash(key, row) {
  const canonical = JSON.stringify([
    row.seq,
    row.id,
    row.action,
    row.userId,
    row.actor,
    row.resourceType,
    row.resourceId,
    row.metadata,
    row.ip,
    row.requestId,
    row.timestamp
  ]);
  return (0, import_node_crypto.createHmac)("sha256", key).update(row.prevHash).update("\n").update(canonical).digest("hex");
}
var AuditChain = class {
  #key;
  #last;
  #sequence;
  #insert;
  constructor(connection, key) {
    this.#key = key;
    this.#last = connection.prepare(
      "select seq, hash from audit_log order by seq desc limit 1"
    );
    this.#sequence = connection.prepare(
      "select seq from sqlite_sequence where name = 'audit_log'"
    );
    this.#insert = connection.prepare(
      `insert into audit_log (seq, id, action, userId, actor, resourceType, resourceId, metadata, ip, requestId, timestamp, prevHash, hash)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
    );
  }
  /** To be called last in an open transaction. */
  append(rows) {
    if (rows.length === 0) return;
    const last = this.#last.get();
    let seq = Math.max(last?.seq ?? 0, this.#sequence.get()?.seq ?? 0);
    let prevHash = last?.hash ?? GENESIS_HASH;
    for (const row of rows) {
      seq++;
      const hash = auditHash(this.#key, { ...row, seq, prevHash });
      this.#insert.run(
        seq,
        row.id,
        row.action,
        row.userId,
        row.actor,
        row.resourceType,
        row.resourceId,
        row.metadata,
        row.ip,
        row.requestId,
        row.timestamp,
        prevHash,
        hash
      );
      prevHash = hash;
    }
  }
};

// src/store/writing-connection.ts
var WritingConnection = class {
  #connection;
  #applier;
  #audit;
  #statements;
  #begin;
  #commit;
  #rollback;
  #failedEpoch = -1;
  #failure = "internal";
  constructor(connection, auditKey) {
    this.#connection = connection;
    this.#audit = new AuditChain(connection, auditKey);
    this.#applier = new WriteSetApplier(connection, this.#audit);
    this.#statements = new StatementCache(connection);
    this.#begin = connection.prepare("begin immediate");
    this.#commit = connection.prepare("commit");
    this.#rollback = connection.prepare("rollback");
  }
  /**
   * Writes a set in one transaction; never throws. When it returns `ok`, the rows are on disk.
   * @param hasBegun the caller has already called {@link begin} for it.
   */
  commitSet(set, hasBegun = false) {
    if (set.epoch <= this.#failedEpoch) {
      if (hasBegun) this.rollback();
      return { ok: false, failure: this.#failure, superseded: true, message: "an earlier set failed" };
    }
    try {
      if (!hasBegun) this.#begin.run();
      const written = this.#applier.apply(set);
      this.#commit.run();
      return { ok: true, ...written };
    } catch (error) {
      this.rollback();
      this.#failedEpoch = set.epoch;
      this.#failure = failureOf(error);
      const message = error instanceof Error ? error.message : String(error);
      return { ok: false, failure: this.#failure, superseded: false, message };
    }
  }
  begin() {
    this.#begin.run();
  }
  query(sql, parameters) {
    return this.#statements.run(sql, parameters);
  }
  commit(end) {
    this.#applier.storeSequenceEnds(end.sequenceEnds);
    this.#audit.append(end.audit);
    this.#commit.run();
  }
  rollback() {
    if (this.#connection.inTransaction) this.#rollback.run();
  }
  /** Grows when another process has written; our own commits do not change it (https://www.sqlite.org/pragma.html#pragma_data_version). */
  dataVersion() {
    return Number(this.#connection.pragma("data_version", { simple: true }));
  }
  /** Moves the whole write-ahead log into the database file and empties it, if no reader holds it. */
  checkpoint() {
    this.#connection.pragma("wal_checkpoint(TRUNCATE)");
  }
  close() {
    this.#connection.close();
  }
};

// src/store/writer-thread.ts
function runWriterThread(data2) {
  const port = import_node_worker_threads2.parentPort;
  if (!port) throw new TypeError("the writer runs in a thread of its own");
  const connection = new WritingConnection(openForWriting(data2.options), data2.auditKey);
  port.on("message", (request) => {
    port.postMessage(answer(connection, request));
    if (request.op === "close") port.close();
  });
}
function answer(connection, request) {
  try {
    return { ok: true, value: perform(connection, request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, failure: failureOf(error), code: sqliteCode(error), message };
  }
}
function perform(connection, request) {
  switch (request.op) {
    case "set":
      return connection.commitSet(request.set);
    case "query":
      return connection.query(request.sql, request.parameters);
    case "dataVersion":
      return connection.dataVersion();
    case "begin":
      connection.begin();
      return null;
    case "commit":
      connection.commit(request.end);
      return null;
    case "rollback":
      connection.rollback();
      return null;
    case "checkpoint":
      connection.checkpoint();
      return null;
    case "close":
      connection.close();
      return null;
  }
}

// src/worker.ts
var { role, data } = import_node_worker_threads3.workerData;
if (role === "writer") runWriterThread(data);
else runScanThread(data);
