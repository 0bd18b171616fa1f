// The demonstration page in a real browser: node page.mjs URL [SCREENSHOT.png]
// The plain form ends on its thank-you page; the script shows faults beside the fields, then success; the last leads'
// dossiers and the API's documentation open; a visitor who agreed to tracking is recognised.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [url, screenshot] = process.argv.slice(2);
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: flags });
let passed = 0;
const test = async (name, run) => { await run(); passed += 1; console.log('ok', name); };
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 1000 } });
  page.setDefaultTimeout(15_000);
  const broken = [];
  page.on('pageerror', (error) => broken.push(String(error)));

  await test('the plain form ends on its thank-you page', async () => {
    await page.goto(`${url}/`);
    await page.fill('#p-email', 'plain@company.example');
    await page.fill('#p-name', 'Plain Person');
    await page.fill('#p-country', 'France');
    await page.check('#plain [name=consent_marketing]');
    await page.click('#plain button');
    await page.waitForURL(`${url}/thank-you`);
    assert.equal(await page.textContent('h1'), 'Thank you');
  });

  await test('the plain form says what is wrong on a page of its own', async () => {
    await page.goto(`${url}/`);
    await page.fill('#p-email', 'no address');
    await page.click('#plain button');
    assert.match(await page.textContent('body'), /email.*is not an e-mail address/s);
  });

  await test('the script shows each fault beside its field', async () => {
    await page.goto(`${url}/?utm_source=google&utm_medium=cpc&utm_campaign=spring`);
    await page.check('[name=consent_tracking]');
    await page.fill('#s-email', 'no address');
    await page.fill('#s-phone', '12');
    await page.click('#scripted button');
    await page.waitForSelector('.ll-fault');
    const beside = await page.$$eval('.ll-fault', (faults) => faults.map((fault) => fault.previousElementSibling.name));
    assert.deepEqual(beside, ['email', 'phone']);
    if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  });

  await test('the script shows success and stays on the page', async () => {
    await page.fill('#s-email', 'script@company.example');
    await page.fill('#s-phone', '+43 1 234567');
    await page.fill('#s-country', 'Österreich');
    await page.click('#scripted button');
    await page.waitForSelector('.ll-done');
    assert.match(page.url(), /utm_campaign=spring/);
  });

  await test('the last leads are listed, and the dossier knows the campaign and the visit before the form', async () => {
    await page.goto(`${url}/`);
    await page.click('td a');
    const dossier = JSON.parse(await page.textContent('body'));
    assert.equal(dossier.email, 'script@company.example');
    assert.equal(dossier.source.first.channel, 'paid_search');
    assert.equal(dossier.source.first.campaign, 'spring');
    assert.ok(dossier.timeline.items.some((entry) => entry.activity === 'page_viewed'), 'the visit joined the lead');
  });

  await test('the documentation lists the API', async () => {
    await page.goto(`${url}/docs`);
    await page.waitForSelector('details');
    assert.ok((await page.$$('details')).length > 20);
  });

  assert.deepEqual(broken, []);
} finally {
  await browser.close();
}
console.log(`${passed} passed, 0 failed`);
