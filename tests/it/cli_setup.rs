//! The commands of the npm package `cli` that set a Worker up. The tests are in `cli/test`.

use crate::cli::run;

#[test]
fn init_writes_a_project_and_the_template_of_the_deploy_button() {
    run("init.test.mjs", &[]);
}

#[test]
fn setup_deploys_and_continues_after_a_failure() {
    run("setup.test.mjs", &[]);
}

#[test]
fn upgrade_adds_what_a_version_needs_and_refuses_what_loses_data() {
    run("upgrade.test.mjs", &[]);
}

#[test]
fn setup_takes_values_in_the_forms_that_the_worker_takes() {
    run("shapes.test.mjs", &[]);
}
