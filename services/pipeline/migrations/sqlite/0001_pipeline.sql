-- The pipeline service's tables. Times are microseconds since 1970, truth values 0 and 1, amounts
-- whole units and nanos of a currency. What is sealed is named so; everything else is plain on
-- purpose. References to customers are record numbers as they were addressed and never change.

-- Which customer holds a record number now, out of the customer feed.
CREATE TABLE crosswalk (
    address INTEGER NOT NULL PRIMARY KEY,
    current INTEGER NOT NULL
) STRICT;
CREATE INDEX crosswalk_current ON crosswalk (current);

-- Small facts: the database's id.
CREATE TABLE service_state (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A sales process; `version` is its newest.
CREATE TABLE pipelines (
    id TEXT NOT NULL PRIMARY KEY,
    uid INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    version INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    stale_after INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- The stages of one version as JSON; never changes.
CREATE TABLE pipeline_versions (
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    stages TEXT NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (pipeline, version)
) STRICT;

-- Leads. `sealed` holds name, phones, emails, title, interest, remark and comment under
-- `data_key`; both are null once erased. `state`: 1 new, 2 qualified, 3 converted, 4 disqualified.
CREATE TABLE leads (
    id INTEGER NOT NULL PRIMARY KEY,
    company TEXT NOT NULL,
    uscc TEXT NOT NULL,
    region TEXT NOT NULL,
    channel TEXT NOT NULL,
    campaign TEXT NOT NULL,
    touch_time INTEGER NOT NULL,
    source TEXT,
    external_id TEXT,
    state INTEGER NOT NULL,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    assign_cause INTEGER NOT NULL,
    assign_rule TEXT NOT NULL,
    assign_time INTEGER NOT NULL,
    assign_actor TEXT NOT NULL,
    match_result INTEGER NOT NULL,
    customer INTEGER,
    candidates TEXT NOT NULL,
    opportunity INTEGER,
    reason TEXT NOT NULL,
    currency TEXT NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    data_key BLOB,
    sealed BLOB,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    state_time INTEGER NOT NULL,
    erase_time INTEGER
) STRICT;
CREATE UNIQUE INDEX leads_foreign ON leads (source, external_id);
CREATE INDEX leads_customer ON leads (customer);
CREATE INDEX leads_owner ON leads (owner, state, id);
CREATE INDEX leads_state ON leads (state, id);
CREATE INDEX leads_update ON leads (update_time, id);

-- Who gets a lead. `rule` is JSON; `turn` counts what round robin gave out.
CREATE TABLE assignment_rules (
    id TEXT NOT NULL PRIMARY KEY,
    priority INTEGER NOT NULL,
    rule TEXT NOT NULL,
    turn INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- Opportunities. `outcome`: 1 open, 2 won, 3 lost. `reached` is the furthest stage it was in.
-- `stale_time` and `overdue_time` say from when on it is stale or overdue while open. `sealed`
-- holds description and comment.
CREATE TABLE opportunities (
    id INTEGER NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    customer INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    stage TEXT NOT NULL,
    reached TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    currency TEXT NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    close_date TEXT NOT NULL,
    line_items TEXT NOT NULL,
    contacts TEXT NOT NULL,
    checked TEXT NOT NULL,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    lead INTEGER,
    channel TEXT NOT NULL,
    campaign TEXT NOT NULL,
    first_touch_time INTEGER,
    reason TEXT NOT NULL,
    outcome_time INTEGER,
    stage_time INTEGER NOT NULL,
    touch_time INTEGER NOT NULL,
    stale_time INTEGER NOT NULL,
    overdue_time INTEGER NOT NULL,
    transitions INTEGER NOT NULL,
    data_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE INDEX opportunities_customer ON opportunities (customer);
CREATE INDEX opportunities_stage ON opportunities (pipeline, outcome, stage, stage_time, id);
CREATE INDEX opportunities_owner ON opportunities (owner, outcome, id);
CREATE INDEX opportunities_lead ON opportunities (lead);
CREATE INDEX opportunities_update ON opportunities (update_time, id);
CREATE INDEX opportunities_close ON opportunities (close_date, id);
CREATE INDEX opportunities_won ON opportunities (outcome, outcome_time);
CREATE INDEX opportunities_stale ON opportunities (pipeline, outcome, stale_time, stage, owner, org_unit);
CREATE INDEX opportunities_overdue ON opportunities (pipeline, outcome, overdue_time, stage, owner, org_unit);

-- Every move, numbered within its opportunity. `cause` is sealed with the opportunity's key.
CREATE TABLE transitions (
    opportunity INTEGER NOT NULL,
    no INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    from_pipeline TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    from_version INTEGER NOT NULL,
    to_version INTEGER NOT NULL,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    actor TEXT NOT NULL,
    cause BLOB,
    reason TEXT NOT NULL,
    currency TEXT NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (opportunity, no)
) STRICT;
CREATE INDEX transitions_revision ON transitions (opportunity, revision);

-- Sums over opportunities, kept by whoever changes one, so that a board costs few rows. `part` 1
-- counts by present stage and outcome, 2 by furthest stage (outcome 0).
CREATE TABLE funnel (
    pipeline TEXT NOT NULL,
    part INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    version INTEGER NOT NULL,
    stage TEXT NOT NULL,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    currency TEXT NOT NULL,
    count INTEGER NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (pipeline, part, outcome, version, stage, owner, org_unit, currency)
) STRICT;

-- Activities as their newest version has them; the versions hold the content.
CREATE TABLE activities (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    customer INTEGER,
    opportunity INTEGER,
    lead INTEGER,
    time INTEGER NOT NULL,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    source TEXT,
    external_id TEXT,
    version INTEGER NOT NULL,
    retracted INTEGER NOT NULL,
    data_key BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX activities_foreign ON activities (source, external_id);
CREATE INDEX activities_customer ON activities (customer, time, id);
CREATE INDEX activities_opportunity ON activities (opportunity, time, id);
CREATE INDEX activities_lead ON activities (lead, time, id);
CREATE INDEX activities_time ON activities (time, id);
CREATE INDEX activities_owner ON activities (owner, time, id);

-- One version of an activity. `sealed` holds subject and text.
CREATE TABLE activity_versions (
    activity INTEGER NOT NULL,
    version INTEGER NOT NULL,
    time INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    channel TEXT NOT NULL,
    inbound INTEGER NOT NULL,
    retracted INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (activity, version)
) STRICT;

-- Tasks. `base_time` is the due time of the first occurrence, from which the others are counted.
-- `sealed` holds subject, text and comment. `plan` counts how often the timers were planned.
CREATE TABLE tasks (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    state INTEGER NOT NULL,
    customer INTEGER,
    opportunity INTEGER,
    lead INTEGER,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    base_time INTEGER NOT NULL,
    due_time INTEGER NOT NULL,
    remind_before INTEGER NOT NULL,
    recurrence TEXT,
    escalations TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    firings INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    close_time INTEGER,
    origin TEXT,
    data_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tasks_origin ON tasks (origin);
CREATE INDEX tasks_inbox ON tasks (owner, state, due_time, id);
CREATE INDEX tasks_due ON tasks (due_time, id);
CREATE INDEX tasks_customer ON tasks (customer);
CREATE INDEX tasks_opportunity ON tasks (opportunity);
CREATE INDEX tasks_lead ON tasks (lead);

-- What is still to fire. `kind`: 1 reminder, 2 escalation, 3 recurrence of a task; 4 the time limit
-- of an opportunity's stage, whose transition is `occurrence`. A timer is deleted by whoever fires it.
CREATE TABLE timers (
    id INTEGER NOT NULL PRIMARY KEY,
    plan_time INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    step INTEGER NOT NULL
) STRICT;
CREATE INDEX timers_plan ON timers (plan_time, id);
CREATE INDEX timers_subject ON timers (subject, kind);

-- What timers of tasks did. Never changes but for the state of the delivery.
CREATE TABLE firings (
    task INTEGER NOT NULL,
    no INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    step INTEGER NOT NULL,
    plan_time INTEGER NOT NULL,
    fire_time INTEGER NOT NULL,
    result INTEGER NOT NULL,
    reason TEXT NOT NULL,
    recipient TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    deliver_time INTEGER,
    PRIMARY KEY (task, no)
) STRICT;

-- Messages that wait to be delivered, written with their firing. `sealed` is the message as it was
-- first handed over, under the task's key: a second try says the same, whatever changed meanwhile.
CREATE TABLE deliveries (
    task INTEGER NOT NULL,
    no INTEGER NOT NULL,
    next_time INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    sealed BLOB,
    PRIMARY KEY (task, no)
) STRICT;
CREATE INDEX deliveries_next ON deliveries (next_time, task, no);
