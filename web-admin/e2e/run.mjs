// Walks through the console in a real Chromium against a real Reeve, takes pictures of every screen
// in both languages and both colour schemes, and has axe look at each.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { version } from './bundle.mjs';

const env = (name) => {
  const value = process.env[name];
  if (!value) {
    console.error(`e2e: ${name} is not set`);
    process.exit(2);
  }
  return value;
};
const control = env('REEVE_CONTROL_URL').replace(/\/$/, '');
const gateway = env('REEVE_GATEWAY_URL').replace(/\/$/, '');
const user = env('REEVE_CONSOLE_USER');
const password = env('REEVE_CONSOLE_PASSWORD');
const reviewer = env('REEVE_REVIEWER');
const reviewerPassword = env('REEVE_REVIEWER_PASSWORD');
const tenantKey = env('REEVE_TENANT_KEY');
const bundle = env('REEVE_BUNDLE');
const out = process.env.REEVE_E2E_OUT ?? new URL('./out', import.meta.url).pathname;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
mkdirSync(out, { recursive: true });

const faults = [];
const check = (what, holds) => {
  if (holds) return;
  faults.push(what);
  console.error(`e2e: ${what}`);
};

async function classify(key, body) {
  return fetch(`${gateway}/v1/classify`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

// Enough to be counted: what is shown of answers at the end.
const many = await classify(tenantKey, {
  model: 'sample',
  input: Array(24).fill('a refund, please'),
});
check(`a call of many texts answers ${many.status}`, many.status === 200);
const good = await classify(tenantKey, {
  model: 'sample',
  input: 'I was charged twice, please refund jo@example.com, DE89 3704 0044 0532 0130 00',
});
check(`a good call answers ${good.status}`, good.status === 200);
const decision = good.headers.get('reeve-decision');
const refused = await classify(tenantKey, { model: 'nothing', input: 'x' });
check(`a bad call answers ${refused.status}`, refused.status === 404);
await new Promise((done) => setTimeout(done, 1500));

const profile = mkdtempSync(join(tmpdir(), 'reeve-e2e-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1360, height: 900 },
  locale: 'en-US',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(15_000);
page.on('pageerror', (error) => check(`an error in the page: ${error.message}`, false));
/** Statuses that the browser is about to be refused with, and complains of. */
let refusals = [];
page.on('console', (message) => {
  if (message.type() !== 'error') return;
  if (refusals.some((status) => message.text().includes(`status of ${status}`))) return;
  check(`an error on the console: ${message.text()}`, false);
});

async function look(name) {
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(250);
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
  await page.evaluate(axe);
  const result = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    }),
  );
  for (const violation of result.violations) {
    const where = violation.nodes
      .slice(0, 3)
      .map((node) => `${node.target.join(' ')} (${node.any[0]?.message ?? node.failureSummary})`);
    check(`${name}: ${violation.id}: ${violation.help}: ${where.join('; ')}`, false);
  }
}

async function signIn(who, secret) {
  await page.getByLabel('User').fill(who);
  await page.locator('input[type=password]').fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** The next person sits down at the browser. */
async function handOver(who, secret, where) {
  refusals = [401];
  // Not every page has the button: a receipt can be checked without an account.
  await page.goto(`${control}/`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User').waitFor();
  await signIn(who, secret);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  refusals = [];
  await page.goto(where);
}

async function heading(text) {
  await page.getByRole('heading', { level: 1, name: text }).waitFor();
}

try {
  // Without a session the browser is told 401, once, and shown the login.
  refusals = [401];
  await page.goto(`${control}/audit`);
  await page.getByLabel('User').fill(user);
  await page.locator('input[type=password]').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await look('login-refused');
  await page.locator('input[type=password]').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await heading('Audit log');
  refusals = [];

  for (const [language, names] of [
    [
      'en',
      [
        'Overview',
        'Audit log',
        'Tenants',
        'Policy',
        'Changes',
        'Emergency',
        'Evidence',
        'Keeping',
        'Usage',
        'Models and pods',
        'sample',
      ],
    ],
    [
      'zh',
      [
        '概览',
        '审计日志',
        '租户',
        '策略',
        '变更',
        '紧急',
        '证据',
        '保存',
        '用量',
        '模型与节点',
        'sample',
      ],
    ],
  ]) {
    await page.getByText(language === 'en' ? 'English' : '中文', { exact: true }).click();
    for (const scheme of ['light', 'dark']) {
      const places = [
        '/',
        '/audit',
        '/tenants',
        '/policy',
        '/changes',
        '/emergency',
        '/evidence',
        '/keeping',
        '/usage',
        '/models',
        '/models/sample',
      ];
      for (const [place, path] of places.entries()) {
        await page.goto(`${control}${path}`);
        await heading(names[place]);
        await look(`${language}-${scheme}-${path.slice(1).replace('/', '-') || 'overview'}`);
      }
      await page.goto(`${control}/decisions/${decision}`);
      await heading(language === 'en' ? 'Decision' : '决定');
      await look(`${language}-${scheme}-decision`);
      const other = { en: { light: 'Dark', dark: 'Light' }, zh: { light: '深色', dark: '浅色' } };
      await page.getByRole('button', { name: other[language][scheme], exact: true }).click();
    }
  }
  await page.getByText('English', { exact: true }).click();

  // The audit log: filters in the address, a row leads to its decision, the log verifies.
  await page.goto(`${control}/audit?code=model-not-found`);
  await page.getByRole('cell', { name: 'model-not-found' }).first().waitFor();
  await page.goto(`${control}/audit?kind=outcome&status=completed`);
  await page.getByRole('link', { name: /^dec_/ }).first().click();
  await heading('Decision');
  await page.getByText('EMAIL_ADDRESS', { exact: true }).first().waitFor();
  check('the decision does not show its proof', (await page.getByText('verified').count()) > 0);
  await page.goto(`${control}/`);
  await page.getByRole('button', { name: 'Verify now: reeve.local/gateway-1' }).click();
  await page.getByText('verified', { exact: true }).first().waitFor();
  await look('verified');

  // The policy's source, highlighted.
  await page.goto(`${control}/policy`);
  await page.getByRole('tab', { name: 'Source' }).click();
  await page.locator('.cm-content').waitFor();
  check(
    'the policy has no rule',
    (await page.locator('.cm-content').innerText()).includes('permit'),
  );
  await look('policy-source');
  await page.getByRole('tab', { name: 'Plans' }).click();
  await look('policy-plans');

  // What would be done with a text, and why.
  await page.getByRole('tab', { name: 'Try it' }).click();
  await page.getByLabel('Text').fill('我是Jo, card 4111 1111 1111 1111, order 10482231');
  await page.getByRole('button', { name: 'Try it' }).click();
  await page.getByText('我是Jo, card [CREDIT_CARD], order 10482231').waitFor();
  check(
    'the value that was found is not marked',
    (await page.locator('mark').innerText()) === '4111 1111 1111 1111',
  );
  check('it does not say why', (await page.getByText('Luhn').count()) > 0);
  await look('policy-try');

  // What is on file for a model stays on file; who has sent nobody's data abroad is told so.
  await page.goto(`${control}/models`);
  const conformity = () => page.getByRole('checkbox', { name: 'Conformity' }).first();
  await conformity().check();
  await page.waitForLoadState('networkidle');
  await page.reload();
  await conformity().waitFor();
  check('the declaration was not kept', await conformity().isChecked());
  await look('models-papers');
  await page.goto(`${control}/policy`);
  await page.getByRole('tab', { name: 'Transfers' }).click();
  await page.getByText('Nobody’s data has left.').waitFor();

  // A change of policy: written with a fault, repaired, simulated, approved by another, in force.
  await page.goto(`${control}/changes`);
  await page.getByRole('button', { name: 'New change' }).click();
  await page.getByRole('dialog').getByLabel('Title').fill('Nobody calls from end to end');
  await page.getByRole('button', { name: 'Begin' }).click();
  await heading('Nobody calls from end to end');
  await page.getByLabel('New file').fill('mine.cedar');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const editor = page.getByRole('textbox', { name: 'mine.cedar' });
  const write = async (text) => {
    await editor.click();
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(text);
  };
  const rule = (condition) =>
    `@id("not-acme")\n@title("Acme is not served")\n@reason("Acme is not served.")\nforbid (principal, action == Action::"classify", resource)\nwhen { ${condition} };\n`;
  await write(rule('principal.salary > 1'));
  await page.getByText(/mine.cedar:\d+:\d+/).waitFor();
  check('the fault has no mark', (await page.locator('.cm-lintRange-error').count()) > 0);
  await look('change-fault');
  await write(rule('principal == Tenant::"acme-eu"'));
  await page.getByText('golden cases hold: it can be activated').waitFor();
  await page.getByRole('button', { name: 'Take in gdpr' }).waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Save', disabled: true }).waitFor();
  await page.getByRole('tab', { name: 'Difference' }).click();
  await page.getByRole('heading', { name: 'mine.cedar' }).waitFor();
  await look('change-diff');
  await page.getByRole('tab', { name: 'Impact' }).click();
  await page.getByRole('button', { name: 'Simulate on the last seven days' }).click();
  await page.locator('[data-flip=denied]').waitFor();
  const denied = Number(await page.locator('[data-flip=denied]').innerText());
  check(`the simulation denies ${denied} calls`, denied > 0);
  check('it does not name the rule', (await page.getByText('not-acme').count()) > 0);
  await page.getByRole('img', { name: 'By the hour' }).waitFor();
  if (process.env.REEVE_SOLVER) {
    await page.getByRole('button', { name: 'Prove' }).click();
    const answer = (question) => page.locator(`[data-proof=${question}]`);
    await answer('newly_allowed').getByText('No: proven for every call.').waitFor();
    await answer('newly_denied').getByText('Yes, for example a call of acme-eu').waitFor();
  } else {
    console.log('skipped: there is no solver, so nothing is proven');
  }
  await look('change-impact');
  await page.getByRole('button', { name: 'Let it decide in shadow' }).click();
  await page.getByText('It decides in shadow now').waitFor();
  await page.waitForTimeout(1000);
  const shadowed = await classify(tenantKey, { model: 'sample', input: 'hello' });
  check(`in shadow it answers ${shadowed.status}`, shadowed.status === 200);
  await page.getByRole('tab', { name: 'Review' }).click();
  await page.getByRole('button', { name: 'Submit' }).click();
  await page.getByText('in review', { exact: true }).waitFor();
  check(
    'the author could approve',
    await page.getByRole('button', { name: 'Approve' }).isDisabled(),
  );
  await page.getByText('You worked on it; somebody else must look at it').first().waitFor();
  await look('change-review');
  const changeUrl = page.url().split('?')[0];
  await handOver(reviewer, reviewerPassword, `${changeUrl}?tab=review`);
  await page.getByLabel('Comment').fill('Agreed with their account manager.');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('approved by').waitFor();
  await page.getByRole('button', { name: 'Put in force now' }).click();
  await page.getByText('in force since', { exact: true }).waitFor();
  await page.waitForTimeout(1000);
  const kept = await classify(tenantKey, { model: 'sample', input: 'hello' });
  check(`then it answers ${kept.status}`, kept.status === 403);
  await page.waitForTimeout(1000);
  await page.getByRole('tab', { name: 'Prediction and outcome' }).click();
  await page.getByRole('button', { name: 'Look at the traffic since then' }).click();
  await page.getByText('1 (100%)').first().waitFor();
  await look('change-outcome');
  await page.goto(`${control}/decisions/${kept.headers.get('reeve-decision')}`);
  await page.getByText('The rules of then decide the recorded inputs as was recorded').waitFor();
  await page.getByRole('heading', { name: 'Acme is not served' }).waitFor();
  await look('decision-explained');
  await page.goto(`${control}/changes`);
  await page.getByText('Newly denied: 1').waitFor();
  await look('changes-shadow');
  await page.getByRole('button', { name: 'Roll back' }).first().click();
  await page.getByRole('dialog').getByLabel('Reason').fill('They pay again.');
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await page.getByText('version 3').waitFor();
  await page.getByRole('button', { name: 'End' }).click();
  await page.getByText('No policy decides in shadow').waitFor();
  await page.waitForTimeout(1000);
  const again = await classify(tenantKey, { model: 'sample', input: 'hello' });
  check(`rolled back it answers ${again.status}`, again.status === 200);

  // Evidence: a receipt is checked in the browser, with and without an account; a bundle is saved.
  const mine = await fetch(`${gateway}/v1/receipts/${decision}`, {
    headers: { Authorization: `Bearer ${tenantKey}` },
  });
  const receipts = await mine.text();
  await page.goto(`${control}/evidence`);
  await heading('Evidence');
  await page
    .getByRole('button', { name: /^Verify now: / })
    .first()
    .click();
  await page.getByLabel('Receipt', { exact: true }).fill(receipts);
  await page
    .getByText(/\+[0-9a-f]{8}\+/)
    .first()
    .waitFor();
  const keys = await page.getByLabel('Public keys').inputValue();
  await page.getByRole('button', { name: 'Check', exact: true }).click();
  await page.getByText('The record stands in the log of').first().waitFor();
  check('a record is shown', (await page.content()).includes(decision));
  await look('receipt-holds');
  const forged = receipts.replace(/"index":(\d+)/, (_, index) => `"index":${Number(index) + 1}`);
  await page.getByLabel('Receipt', { exact: true }).fill(forged);
  await page.getByRole('button', { name: 'Check', exact: true }).click();
  await page.getByText('The proof does not lead to the root').waitFor();
  await look('receipt-forged');
  await page.getByRole('combobox', { name: 'Tenant' }).click();
  await page.getByRole('option', { name: 'acme-eu' }).click();
  await page.getByRole('combobox', { name: 'Article' }).click();
  await page.getByRole('option', { name: /accountability/ }).click();
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Make the bundle' }).click();
  const saved = await saving;
  check(
    `the bundle is ${saved.suggestedFilename()}`,
    /^evidence-acme-eu/.test(saved.suggestedFilename()),
  );
  await page.getByText('The bundle was made and saved').waitFor();
  await page.goto(`${control}/receipt`);
  await heading('Check a receipt');
  await page.getByLabel('Receipt', { exact: true }).fill(receipts);
  await page.getByLabel('Public keys').fill(keys);
  await page.getByRole('button', { name: 'Check', exact: true }).click();
  await page.getByText('The record stands in the log of').first().waitFor();
  await look('receipt-alone');

  // Keeping: a hold keeps somebody from being erased; a floor below the law is refused.
  await handOver(user, password, `${control}/keeping`);
  await heading('Keeping');
  const part = (title) =>
    page.locator('section', { has: page.getByRole('heading', { name: title }) });
  await page.getByRole('button', { name: 'Delete what is due now' }).click();
  await page.getByText('As of').waitFor();
  refusals = [422];
  await page.getByLabel('Calls: at least').fill('182');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('invalid-request').waitFor();
  refusals = [];
  await page.getByLabel('Calls: at least').fill('200');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Save' }).waitFor({ state: 'detached' });
  const holds = part('Legal holds');
  await holds.getByRole('combobox', { name: 'Tenant' }).click();
  await page.getByRole('option', { name: 'acme-eu' }).click();
  await holds.getByLabel('Person').fill('person-1');
  await holds.getByLabel('Reason').fill('A court asked.');
  await holds.getByRole('button', { name: 'Place a hold' }).click();
  await holds.getByText('A court asked.').waitFor();
  const erasing = part('Erasure');
  await erasing.getByRole('combobox', { name: 'Tenant' }).click();
  await page.getByRole('option', { name: 'acme-eu' }).click();
  await erasing.getByLabel('Person').fill('person-1');
  await erasing.getByLabel('Reason').fill('She asked.');
  refusals = [409];
  await erasing.getByRole('button', { name: 'Erase' }).click();
  await erasing.getByText('legal-hold').waitFor();
  refusals = [];
  await look('keeping-held');
  await holds.getByRole('button', { name: 'Release' }).click();
  await holds.getByText('released by').waitFor();
  await erasing.getByRole('button', { name: 'Erase' }).click();
  await erasing.getByText('0 keys, 0 payloads.').waitFor();
  const certificate = await erasing.getByRole('link', { name: 'Certificate' }).getAttribute('href');
  const proof = await page.evaluate(
    (path) => fetch(path).then((answer) => answer.text()),
    certificate,
  );
  check('the certificate is a receipt', proof.includes('"checkpoint"'));
  await look('keeping-erased');
  await handOver(reviewer, reviewerPassword, `${control}/emergency`);

  // A stop, and a broken glass that another has to review.
  await page.goto(`${control}/emergency`);
  await page.getByLabel('Name').fill('sample');
  await page.getByLabel('Reason').fill('It answers nonsense.');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByText('Model sample').waitFor();
  await page.waitForTimeout(1000);
  const halted = await classify(tenantKey, { model: 'sample', input: 'hello' });
  check(`stopped it answers ${halted.status}`, halted.status === 503);
  await page.getByLabel('Tenant').fill('acme-eu');
  await page.getByLabel('Why').fill('Ward 3');
  await page.getByRole('button', { name: 'Break the glass' }).click();
  await page.getByText('You broke the glass; somebody else must review it').waitFor();
  await look('emergency-open');
  await page.getByRole('button', { name: 'Let it go on' }).click();
  await page.getByText('Nothing is stopped').waitFor();
  await handOver(user, password, `${control}/emergency`);
  await page.getByLabel('Findings').fill('It was one.');
  await page.getByRole('button', { name: 'Close the review' }).click();
  await page.getByText('admin: It was one.').waitFor();

  // A second version: taken in, placed, asked for, approved by another, rolled back, withdrawn.
  const archive = join(profile, 'sample-2.tar');
  writeFileSync(archive, version(bundle, '2'));
  await page.goto(`${control}/models`);
  await page.locator('input[type=file]').setInputFiles(archive);
  await page.getByRole('button', { name: 'Take it in' }).click();
  await page.getByText('sample@2 was taken in').waitFor();
  await page.getByRole('link', { name: 'sample' }).first().click();
  await heading('sample');
  const row = (number) => page.locator(`[data-version="${number}"]`);
  const answering = async () => {
    await page.waitForTimeout(1000);
    const answer = await classify(tenantKey, { model: 'sample', input: 'hello' });
    return (await answer.json()).model?.version;
  };
  await row('2').getByRole('button', { name: '2', exact: true }).click();
  await page.getByRole('dialog').getByText('Intended use').waitFor();
  await look('model-card');
  await page.getByRole('button', { name: 'Close' }).click();
  await row('2').getByRole('button', { name: 'Place' }).click();
  for (const region of ['eu-west', 'us-east']) {
    await page.getByRole('dialog').getByLabel('Regions').fill(region);
    await page.keyboard.press('Enter');
  }
  await page.getByRole('button', { name: 'Do it' }).click();
  await page.getByText('ready', { exact: true }).nth(3).waitFor({ timeout: 60_000 });
  await row('2').getByRole('button', { name: 'Promote' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('It is better.');
  await page.getByRole('button', { name: 'Ask for it' }).click();
  await page.getByText('Version 2 in production').waitFor();
  await page.getByText('You asked for it; somebody else must look at it.').waitFor();
  check(
    'who asked could approve',
    await page.getByRole('button', { name: 'Approve' }).isDisabled(),
  );
  check('it answers before it was approved', (await answering()) === '1');
  await look('model-asked');
  await handOver(reviewer, reviewerPassword, `${control}/models/sample`);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.locator('[data-production=production]').getByText('Version 2').waitFor();
  check('the promoted version does not answer', (await answering()) === '2');
  await page.getByLabel('Why back').fill('It is worse.');
  await page.getByRole('button', { name: 'Roll back' }).click();
  await page.locator('[data-production=production]').getByText('Version 1').waitFor();
  check('what was rolled back to does not answer', (await answering()) === '1');
  await handOver(user, password, `${control}/models/sample`);
  await row('2').getByRole('button', { name: 'Canary' }).click();
  await page.getByRole('dialog').getByLabel('Share of the calls in percent').fill('100');
  await page.getByRole('dialog').getByLabel('Reason').fill('Once more.');
  await page.getByRole('button', { name: 'Ask for it' }).click();
  await page.getByText('Version 2 as canary for 100%').waitFor();
  await row('2').getByRole('button', { name: 'Shadow' }).click();
  await page.getByRole('button', { name: 'Do it' }).click();
  await page.getByText('Shadow: version 2').waitFor();
  await page.getByLabel('Share with tenant').fill('globex-us');
  await page.getByLabel('Terms').fill('For a year.');
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  await page.getByText('For a year.').waitFor();
  await look('model-shared');
  await handOver(reviewer, reviewerPassword, `${control}/models/sample`);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('Canary: version 2').waitFor();
  check('the canary does not answer', (await answering()) === '2');
  await page.locator('[data-watched="1"]').waitFor({ timeout: 90_000 });
  await page.getByRole('img', { name: 'Labels of version 1' }).waitFor();
  await look('model-watched');
  await row('2').getByRole('button', { name: 'Withdraw' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('It insults people.');
  await page.getByRole('button', { name: 'Do it' }).click();
  await row('2').getByText('withdrawn').waitFor();
  check('a withdrawn version answers', (await answering()) === '1');
  await look('model-withdrawn');
  await handOver(user, password, `${control}/tenants`);

  // A tenant and a key, from making to revoking; the key works, and then does not.
  const name = `e2e-${Date.now()}`;
  await page.goto(`${control}/tenants`);
  await page.getByRole('button', { name: 'New tenant' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Tenant').fill('not a name!');
  await dialog.getByLabel('Name').fill('End to end');
  refusals = [];
  await dialog.getByLabel('Residency').fill('eu-west');
  await page.keyboard.press('Enter');
  await look('tenant-new');
  await dialog.getByLabel('Tenant').fill(name);
  await dialog.getByRole('button', { name: 'Create' }).click();
  await heading('End to end');
  await page.getByRole('combobox', { name: 'Purposes' }).fill('support');
  await page.keyboard.press('Enter');
  await page.getByLabel('Agreement (dpa, baa)').fill('dpa');
  await page.getByLabel('Ends on').fill('2030-01-01');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('button', { name: 'Save the file' }).click();
  await page.getByText('until 2030-01-01').waitFor();
  await page.reload();
  await page.getByText('until 2030-01-01').waitFor();
  await look('tenant-legal');
  await page.getByRole('button', { name: 'Remove: dpa' }).click();
  await page.getByRole('combobox', { name: 'Purposes' }).press('Backspace');
  await page.getByRole('button', { name: 'Save the file' }).click();
  await page.getByText('until 2030-01-01').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('first');
  await page.getByRole('button', { name: 'Create key' }).click();
  const secret = (await page.getByTestId('secret').innerText()).trim();
  check('the key has not the form of one', /^rv_\w{8}_\w{43}$/.test(secret));
  await look('key-once');
  await page.getByRole('button', { name: 'Done' }).click();
  await page.waitForTimeout(1000);
  const served = await classify(secret, { model: 'sample', input: 'hello' });
  check(`the new key answers ${served.status}`, served.status === 200);
  await look('tenant-keys');
  await page.getByRole('button', { name: 'Revoke: first' }).click();
  await look('key-revoke');
  await page.getByRole('button', { name: 'Revoke the key' }).click();
  await page.getByText('revoked', { exact: true }).waitFor();
  await page.waitForTimeout(1000);
  const stopped = await classify(secret, { model: 'sample', input: 'hello' });
  check(`the revoked key answers ${stopped.status}`, stopped.status === 401);
  check('the secret is shown twice', !(await page.content()).includes(secret));
  await page.getByRole('button', { name: 'Suspend' }).click();
  await page.getByText('suspended', { exact: true }).first().waitFor();

  refusals = [401];
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User').waitFor();
  await page.goto(`${control}/policy`);
  await page.getByLabel('User').waitFor();
} catch (error) {
  check(`stopped: ${error.message}`, false);
  await page.screenshot({ path: join(out, 'stopped.png'), fullPage: true }).catch(() => {});
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(
  faults.length === 0 ? `e2e: all holds; pictures in ${out}` : `e2e: ${faults.length} faults`,
);
process.exit(faults.length === 0 ? 0 : 1);
