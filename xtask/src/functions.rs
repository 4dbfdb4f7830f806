//! The functions of the product: the one list that build, up, test and size go by.

/// One function crate, which is one wasm module on each runtime it is made for.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Short name: on the command line, of the Spin component, and of `target/spin/<name>.wasm`.
    pub name: &'static str,
    /// Crate folder, from the workspace root.
    pub dir: &'static str,
    /// Cargo package name.
    pub package: &'static str,
    /// Whether it is also built for Spin (gateway and subjects are not: Spin routes by itself, and keeps subjects as rows).
    pub on_spin: bool,
}

/// What is deployed. The gateway stands first: it is the entry of a `wrangler dev` session.
pub const FUNCTIONS: &[Function] = &[
    function("gateway", "functions/gateway", "tmcp-gateway", false),
    function("subjects", "functions/subjects", "tmcp-subjects", false),
    function("auth", "functions/auth", "tmcp-auth", true),
    function("account", "functions/account", "tmcp-account", true),
    function("broker", "functions/broker", "tmcp-broker", true),
    function("consent", "functions/consent", "tmcp-consent", true),
    function("developer", "functions/developer", "tmcp-developer", true),
    function("identity", "functions/identity", "tmcp-identity", true),
    function("lifecycle", "functions/lifecycle", "tmcp-lifecycle", true),
    function("saml", "functions/saml", "tmcp-saml", true),
    function("storage", "functions/storage", "tmcp-storage", true),
    function("ops", "functions/ops", "tmcp-ops", true),
];

/// The test-only function that runs the port contract suites inside a runtime. Never deployed.
pub const CONTRACT: Function = function("contract", "tests/contract-function", "tmcp-contract-function", true);

const fn function(name: &'static str, dir: &'static str, package: &'static str, on_spin: bool) -> Function {
    Function { name, dir, package, on_spin }
}

/// Every function, and with it the test-only one if it is asked for.
pub fn all(with_contract: bool) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().chain(with_contract.then_some(&CONTRACT))
}

/// The functions named on the command line, in this list's order; none named means all of them.
pub fn select(names: &[String], with_contract: bool) -> anyhow::Result<Vec<&'static Function>> {
    for name in names {
        if !all(true).any(|function| function.name == name) {
            let known: Vec<_> = all(true).map(|function| function.name).collect();
            anyhow::bail!("no function is called \"{name}\": choose from {}", known.join(", "));
        }
    }
    if names.is_empty() {
        return Ok(all(with_contract).collect());
    }
    Ok(all(true)
        .filter(|function| names.iter().any(|name| name == function.name) || (with_contract && **function == CONTRACT))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selected: Vec<&Function>) -> Vec<&'static str> {
        selected.into_iter().map(|function| function.name).collect()
    }

    #[test]
    fn nothing_named_is_everything_deployed() {
        let selected = names(select(&[], false).unwrap());
        assert_eq!(
            selected,
            [
                "gateway",
                "subjects",
                "auth",
                "account",
                "broker",
                "consent",
                "developer",
                "identity",
                "lifecycle",
                "saml",
                "storage",
                "ops"
            ]
        );
        assert!(names(select(&[], true).unwrap()).contains(&"contract"));
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_right_ones() {
        let error = select(&["store".into()], false).unwrap_err().to_string();
        assert!(error.contains("storage"), "{error}");
        assert_eq!(names(select(&["storage".into()], false).unwrap()), ["storage"]);
    }
}
