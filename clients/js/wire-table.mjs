// Makes src/wire-table.js, the types of what goes over the wire, of docs/wire.schema.json.
//
//   node clients/js/wire-table.mjs            # writes it
//   node clients/js/wire-table.mjs --check    # whether it is as it would be written

import { readFileSync, writeFileSync } from 'node:fs';

const SOURCE = new URL('../../docs/wire.schema.json', import.meta.url);
const TARGET = new URL('src/wire-table.js', import.meta.url);
const { $defs, requests, replies, pushes } = JSON.parse(readFileSync(SOURCE, 'utf8'));

function typeOf(schema) {
  // Beside the others of its way it is refused.
  if (schema === false) return 'undefined';
  if (schema.$ref) return named(schema.$ref.split('/').at(-1));
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' | ');
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(' | ');
  if ('const' in schema) return JSON.stringify(schema.const);
  switch (schema.type) {
    case undefined: return 'any';
    case 'integer': return 'number';
    case 'array': return listOf(typeOf(schema.items));
    case 'object': return objectOf(schema);
    default: return schema.type;
  }
}

/** Objects have names of their own; other things of a name are what they are. */
function named(name) {
  return $defs[name].properties ? name : typeOf($defs[name]);
}

function listOf(item) {
  return / [|&] /.test(item.replace(/\{.*\}/, '')) ? `(${item})[]` : `${item}[]`;
}

/** Of what comes in several shapes each has, as undefined, what the others have: so that all may be asked for each. */
function variants({ oneOf }) {
  const all = new Set(oneOf.flatMap(({ properties }) => Object.keys(properties)));
  return oneOf.map((schema) => {
    const others = [...all].filter((name) => !schema.properties[name]);
    return objectOf(schema, others.map((name) => `${name}?: undefined`));
  }).join(' | ');
}

function objectOf({ properties, additionalProperties, required = [] }, more = []) {
  if (!properties) return `Record<string, ${additionalProperties ? typeOf(additionalProperties) : 'any'}>`;
  const members = Object.entries(properties).map(([name, of]) => `${name}${required.includes(name) ? '' : '?'}: ${typeOf(of)}`);
  members.push(...more);
  return members.length > 0 ? `{ ${members.join(', ')} }` : '{}';
}

const table = (name, about, schemas) => `/**
 * ${about}
 * @typedef {{
${Object.entries(schemas).map(([type, schema]) => ` *   "${type}": ${(schema.oneOf && name === 'Pushes' ? variants : typeOf)(schema)},`).join('\n')}
 * }} ${name}
 */`;
const shapes = Object.entries($defs).filter(([, schema]) => schema.properties);
const made = `// What goes over the wire (docs/protocol.md). It was made of docs/wire.schema.json by wire-table.mjs. Nothing here runs.

${shapes.map(([name, schema]) => `/** @typedef {${typeOf(schema)}} ${name} */`).join('\n')}

${table('Payloads', 'What each request may have.', requests)}

${table('Answers', 'What the reply to each request has.', replies)}

${table('Pushes', "What each of the server's own pushes has.", pushes)}

export {};
`;

if (process.argv[2] === '--check') {
  if (readFileSync(TARGET, 'utf8') !== made) {
    console.error('clients/js/src/wire-table.js is not what docs/wire.schema.json says: node clients/js/wire-table.mjs');
    process.exitCode = 1;
  }
} else writeFileSync(TARGET, made);
